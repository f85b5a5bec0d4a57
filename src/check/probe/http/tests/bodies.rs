//! What a body has to be like.

use super::*;
use crate::check::probe::MOST_BYTES;
use crate::check::probe::http::digests;

/// An answer with this body and its length.
fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same in chunks of three bytes.
fn chunks(body: &[u8]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(3) {
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(&[chunk, b"\r\n"].concat());
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}

fn matches(text: &str) -> Http {
    expecting(vec![Expectation::Matches(pattern(text))])
}

fn matches_not(text: &str) -> Http {
    expecting(vec![Expectation::MatchesNot(pattern(text))])
}

#[test]
fn a_text_is_found_across_chunks_and_before_the_body_ends() {
    let http = expecting(vec![text("all is well")]);
    let body = b"they say: all is well, and more";
    assert_eq!(open(&http, answer(body)), Told::Good);
    assert_eq!(open(&http, chunks(body)), Told::Good);
    let (early, _) = hear(&http, [&answer(body)[..60]], false);
    assert_eq!(early, Told::Good);
    let without = Told::bad("the body does not hold \"all is well\"");
    assert_eq!(open(&http, answer(b"all is not well")), without);
    assert_eq!(open(&http, chunks(b"all is wel")), without);
    let waits =
        "status 200 came, but the body did not end and does not hold \"all is well\" so far";
    let half = &answer(body)[..50];
    assert_eq!(open(&http, half), Told::Waits(waits.to_owned()));
}

#[test]
fn all_texts_have_to_be_there_and_the_first_that_is_not_is_named() {
    let http = expecting(vec![text("one"), text("two"), text("three")]);
    assert_eq!(open(&http, answer(b"three two one")), Told::Good);
    let told = open(&http, answer(b"one three"));
    assert_eq!(told, Told::bad("the body does not hold \"two\""));
}

#[test]
fn a_text_of_no_bytes_asks_for_nothing() {
    let http = expecting(vec![text("")]);
    assert_eq!(open(&http, "HTTP/1.1 200 OK\r\n\r\n"), Told::Good);
}

#[test]
fn a_pattern_is_matched_with_the_whole_body() {
    assert_eq!(open(&matches("^web[0-9]+$"), chunks(b"web12")), Told::Good);
    let told = open(&matches("^web[0-9]+$"), answer(b"web12x"));
    assert_eq!(told, Told::bad("the body does not match /^web[0-9]+$/"));
    // Bytes, not text.
    assert_eq!(open(&matches(r"(?-u)\xff"), answer(&[0xfe, 0xff])), Told::Good);
}

#[test]
fn a_pattern_that_must_not_match_is_as_good_as_one_that_must() {
    assert_eq!(open(&matches_not("(?i)error"), answer(b"all is well")), Told::Good);
    let told = open(&matches_not("(?i)error"), chunks(b"Internal Error"));
    assert_eq!(told, Told::bad("the body matches /(?i)error/"));
}

#[test]
fn no_more_than_64_kib_is_looked_at_and_the_failure_says_so() {
    let long = |before: usize| [vec![b'.'; before], b"needle".to_vec(), vec![b'.'; 9000]].concat();
    let found = expecting(vec![text("needle")]);
    assert_eq!(open(&found, answer(&long(MOST_BYTES - 6))), Told::Good);
    assert_eq!(open(&matches("needle"), answer(&long(MOST_BYTES - 6))), Told::Good);
    let told = Told::bad("the first 64 KiB of the body do not hold \"needle\"");
    assert_eq!(open(&found, answer(&long(MOST_BYTES - 5))), told);
    assert_eq!(open(&found, chunks(&long(MOST_BYTES - 5))), told);
    let told = Told::bad("the first 64 KiB of the body do not match /needle/");
    assert_eq!(open(&matches("needle"), answer(&long(MOST_BYTES - 5))), told);
    assert_eq!(open(&matches_not("needle"), answer(&long(MOST_BYTES - 5))), Told::Good);
    let just = vec![b'.'; MOST_BYTES];
    let told = Told::bad("the body does not hold \"needle\"");
    assert_eq!(open(&found, answer(&just)), told);
}

#[test]
fn a_body_without_end_ends() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let endless = [head.as_bytes(), &vec![b'x'; 70_000]].concat();
    let told = open(&expecting(vec![text("y")]), &endless);
    assert_eq!(told, Told::bad("the first 64 KiB of the body do not hold \"y\""));
    assert_eq!(open(&matches("x"), &endless), Told::Good);
}

#[test]
fn a_digest_is_of_the_body_and_of_nothing_else() {
    let body = b"<html>hello</html>\n";
    let digests = digests(body);
    assert_eq!(digests.md5, "b328c4e3d6de7ace5192977fc079f644".to_owned());
    let md5 = expecting(vec![Expectation::Md5(digests.md5.to_uppercase())]);
    let sha256 = expecting(vec![Expectation::Sha256(digests.sha256.clone())]);
    let both = [md5.requests[0].expect.clone(), sha256.requests[0].expect.clone()].concat();
    for http in [&md5, &sha256, &expecting(both)] {
        assert_eq!(open(http, answer(body)), Told::Good);
        assert_eq!(open(http, chunks(body)), Told::Good);
        assert_eq!(closed(http, [b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat()), Told::Good);
    }
    let told = Told::Bad(format!("the body's SHA-256 is not {}", digests.sha256));
    assert_eq!(open(&sha256, answer(b"<html>hallo</html>\n")), told);
    let told = Told::Bad(format!("the body's MD5 is not {}", digests.md5.to_uppercase()));
    assert_eq!(open(&md5, answer(b"")), told);
}

#[test]
fn a_digest_is_made_of_1_mib_and_no_more() {
    let mut body = vec![b'z'; 1024 * 1024];
    let expect = vec![Expectation::Md5(digests(&body).md5), text("zzz"), text("z")];
    let http = expecting(expect);
    let hear = |body: &[u8]| hear(&http, answer(body).chunks(5000), false).0;
    assert_eq!(hear(&body), Told::Good);
    body.push(b'z');
    let told = Told::bad("the body is longer than 1 MiB, and a digest is made of no more");
    assert_eq!(hear(&body), told);
    let told = Told::bad("the first 64 KiB of the body do not hold \"zzz\"");
    assert_eq!(hear(&vec![b'y'; MOST_BYTES + 1]), told);
}
