//! Where an answer in HTTP/1 begins and ends.

use super::*;

fn plain() -> Http {
    one(HttpVersion::V11, get("/"))
}

/// Expects "ok" in the body.
fn ok() -> Http {
    expecting(vec![text("ok")])
}

/// Matches the whole body, so that where it ends matters.
fn exactly(body: &str) -> Http {
    let whole = format!("(?s-u)\\A{body}\\z");
    expecting(vec![Expectation::Matches(pattern(&whole))])
}

#[test]
fn the_status_is_enough_if_nothing_else_is_asked() {
    assert_eq!(open(&plain(), "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), Told::Good);
    assert_eq!(open(&plain(), "HTTP/1.0 301\n\n"), Told::Good);
    let waits = Told::Waits("the header section did not end".to_owned());
    assert_eq!(open(&plain(), "HTTP/1.1 200 OK\r\n"), waits);
}

#[test]
fn a_status_that_is_not_wanted_is_bad_before_the_body_comes() {
    let told = open(&ok(), "HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(told, Told::bad("status 503, not 200-399"));
    let status = Statuses(vec![(200, 299), (401, 401)]);
    let http = one(HttpVersion::V11, HttpRequest { status, ..get("/") });
    let told = open(&http, "HTTP/1.1 404 Not Found\r\n\r\n");
    assert_eq!(told, Told::bad("status 404, not 200-299 or 401"));
    assert_eq!(open(&http, "HTTP/1.1 401 Unauthorized\r\n\r\n"), Told::Good);
}

#[test]
fn interim_answers_are_skipped_and_a_switch_of_protocols_is_final() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    assert_eq!(open(&plain(), format!("{hints}HTTP/1.1 200 OK\r\n\r\n")), Told::Good);
    let told = open(&plain(), format!("{hints}HTTP/1.1 500 No\r\n\r\n"));
    assert_eq!(told, Told::bad("status 500, not 200-399"));
    let switch = HttpRequest { status: Statuses(vec![(101, 101)]), ..get("/ws") };
    let told = open(&one(HttpVersion::V11, switch), "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(told, Told::Good);
}

#[test]
fn a_body_ends_with_its_length() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
    assert_eq!(open(&exactly("body"), answer), Told::Good);
    assert_eq!(open(&exactly("body"), format!("{answer}more")), Told::Good);
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\nContent-Length:4\r\n\r\nbody";
    assert_eq!(open(&exactly("body"), twice), Told::Good);
    assert_eq!(open(&exactly(""), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Told::Good);
}

#[test]
fn a_body_ends_with_the_connection_if_nothing_else_is_said() {
    let answer = "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nbody";
    assert_eq!(closed(&exactly("body"), answer), Told::Good);
    let told = closed(&ok(), answer);
    assert_eq!(told, Told::bad("the body does not hold \"ok\""));
    let waits = Told::Waits("status 200 came, but the body did not end".to_owned());
    assert_eq!(open(&exactly("body"), answer), waits);
}

#[test]
fn a_body_in_chunks_is_put_together() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "2\r\nbo\r\n00A;name=\"v\"\r\ndy in chun\r\n2 \r\nks\r\n";
    for end in ["0\r\n\r\n", "0\r\nTrailer: a\r\nOther: b\r\n\r\n", "000;x\n\n"] {
        let answer = format!("{head}{chunks}{end}");
        assert_eq!(open(&exactly("body in chunks"), &answer), Told::Good, "{end:?}");
        let closed = closed(&exactly("body in chunks"), &answer[..answer.len() - 1]);
        assert_eq!(closed, Told::bad("the connection was closed within the body"));
    }
    let bare = format!("{head}4\nbody\n0\n\n");
    assert_eq!(open(&exactly("body"), bare), Told::Good);
    // A length beside it does not count (RFC 9112 section 6.3).
    let both = head.replace("Transfer", "Content-Length: 1\r\nTransfer");
    assert_eq!(open(&exactly("body"), format!("{both}4\r\nbody\r\n0\r\n\r\n")), Told::Good);
}

#[test]
fn another_coding_last_ends_with_the_connection() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x-own\r\n\r\nbody";
    assert_eq!(closed(&exactly("body"), head), Told::Good);
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n\r\n";
    assert_eq!(open(&exactly("body"), format!("{head}4\r\nbody\r\n0\r\n\r\n")), Told::Good);
}

#[test]
fn a_chunk_that_is_none_is_bad() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let of = |chunks: &str| open(&ok(), format!("{head}{chunks}"));
    assert_eq!(of("\r\n"), Told::bad("a chunk has no size"));
    assert_eq!(of("x\r\n"), Told::bad("a chunk has no size"));
    assert_eq!(of("-1\r\n"), Told::bad("a chunk has no size"));
    assert_eq!(of("3x\r\n"), Told::bad("a chunk has no size"));
    assert_eq!(of("fffffffffffffffff\r\n"), Told::bad("a chunk's size is no number"));
    assert_eq!(of("3\r\nabcd\r\n"), Told::bad("a chunk is longer than it says"));
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    let mut head = ok();
    head.requests[0].method = "HEAD".to_owned();
    let without = Told::bad("the body does not hold \"ok\"");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(open(&head, answer), without);
    assert_eq!(
        open(&head, answer.replace("Content-Length: 2", "Transfer-Encoding: chunked")),
        without
    );
    assert_eq!(open(&ok(), answer.replace("200", "204")), without);
    assert_eq!(open(&ok(), answer.replace("200", "304")), without);
    head.requests[0].method = "CONNECT".to_owned();
    assert_eq!(open(&head, answer), without);
    head.requests[0].expect.clear();
    head.requests[0].method = "HEAD".to_owned();
    assert_eq!(open(&head, answer), Told::Good);
}

#[test]
fn a_length_that_leaves_the_end_unclear_is_bad() {
    let of = |length: &str| open(&ok(), format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\nok"));
    let number = Told::bad("the Content-Length is no number");
    for length in ["-1", "+2", "2x", "", "0x2", "99999999999999999999"] {
        assert_eq!(of(&format!("Content-Length: {length}")), number, "{length}");
    }
    let several = Told::bad("there is more than one Content-Length");
    assert_eq!(of("Content-Length: 2\r\nContent-Length: 3"), several);
    assert_eq!(of("Content-Length: 2,3"), several);
}

#[test]
fn a_connection_that_closes_early_is_bad_and_how_early_is_said() {
    let none = Told::bad("the connection was closed without an answer");
    assert_eq!(closed(&ok(), ""), none);
    let head = Told::bad("the connection was closed within the header section");
    assert_eq!(closed(&ok(), "HT"), head);
    assert_eq!(closed(&ok(), "HTTP/1.1 200 OK\r\nServer: x\r\n"), head);
    let body = Told::bad("the connection was closed within the body");
    assert_eq!(closed(&ok(), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno"), body);
    assert_eq!(open(&ok(), ""), Told::Waits("connected, but no answer came".to_owned()));
}

#[test]
fn what_is_not_http_is_shown() {
    let ssh = "SSH-2.0-OpenSSH_9.2\r\nmore of it";
    let told = Told::bad("the answer is not HTTP: \"SSH-2.0-OpenSSH_9.2\"");
    assert_eq!(open(&ok(), ssh), told);
    let long = "x".repeat(1000);
    let told = Told::Bad(format!("the answer is not HTTP: \"{}\"", &long[..60]));
    assert_eq!(open(&ok(), long), told);
    assert_eq!(closed(&ok(), "+"), Told::bad("the answer is not HTTP: \"+\""));
    let waits = Told::Waits("the answer is not HTTP: \"220 mail\"".to_owned());
    assert_eq!(open(&ok(), "220 mail"), waits);
    let alert = [0x15, 3, 3, 0, 2, 2, 22];
    assert_eq!(closed(&ok(), alert), Told::bad("the answer is not HTTP but TLS"));
}

#[test]
fn a_malformed_header_section_is_bad() {
    let malformed = |head: &str, why: &str| {
        let told = Told::Bad(format!("the header section is malformed: {why}"));
        assert_eq!(open(&plain(), format!("{head}\r\n\r\n")), told, "{head}");
    };
    malformed("HTTP/1.1 twohundred OK", "invalid response status");
    malformed("HTTP/2.0 200 OK", "invalid HTTP version");
    malformed("HTTP/1.1 20 OK", "invalid response status");
    let many = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(300));
    malformed(many.trim_end(), "too many headers");
}

#[test]
fn headers_that_browsers_bear_are_borne() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length : 2\r\nX-Folded: a\r\n b\r\nno header\r\n\r\nok";
    assert_eq!(open(&exactly("ok"), head), Told::Good);
}

#[test]
fn a_header_section_without_end_is_bad() {
    let long = Told::bad("the header section is longer than 64 KiB");
    assert_eq!(open(&plain(), format!("HTTP/1.1 200 {}", "a".repeat(70_000))), long);
    let lines = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(15_000));
    assert_eq!(open(&plain(), lines), long);
    // Interim ones count, or there could be any number of them.
    assert_eq!(open(&plain(), "HTTP/1.1 102 Processing\r\n\r\n".repeat(3000)), long);
}

#[test]
fn a_chunked_body_beside_its_bytes_without_end_is_bad() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let lines = Told::bad("the body's chunks are not worth their lines");
    assert_eq!(open(&ok(), format!("{head}2;{}", "a".repeat(70_000))), lines);
    assert_eq!(open(&ok(), format!("{head}0\r\n{}", "a: b\r\n".repeat(15_000))), lines);
    assert_eq!(open(&ok(), format!("{head}1\r\na{}", "\r".repeat(70_000))), lines);
    assert_eq!(open(&ok(), format!("{head}{}", "1;aaaaaaaaaaaaaa\r\nx\r\n".repeat(40_000))), lines);
}
