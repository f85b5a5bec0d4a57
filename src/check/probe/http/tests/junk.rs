//! Answers that nobody would give on purpose: no panic, an end, and little memory.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::check::probe::MOST_BYTES;

/// A body's beginning, a header block, HPACK's table and a frame.
const MOST_HELD: usize = 2 * MOST_BYTES + 4096 + 2 * (16384 + 9);
/// A check that has heard so much has made up its mind.
const MOST_HEARD: usize = 40 << 20;

/// What nginx and Apache answer, as it was on the wire but for dates.
const ANSWERS: [&[u8]; 6] = [
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\
      Last-Modified: Tue, 14 Oct 2025 16:12:08 GMT\r\nConnection: close\r\nETag: \"68ee76a8-5\"\r\n\
      Accept-Ranges: bytes\r\n\r\nweb1\n",
    b"HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\n\
      Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n19\r\n<html>404 Not Found</html>\r\n\
      0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nServer: Apache/2.4.62 (Debian)\r\nTransfer-Encoding: chunked\r\n\
      Content-Type: text/plain\r\n\r\n3;x=y\r\nweb\r\n1\r\n2\r\n0\r\nExpires: never\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end",
    // SETTINGS, their ACK, HEADERS (Huffman and table), DATA, and an end.
    b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff\
      \0\0\0\x04\x01\0\0\0\0\
      \0\0\x23\x01\x04\0\0\0\x01\x88\x76\x89\xaa\x63\x55\xe5\x80\xae\x17\x97\x07\
      \x5f\x87\x49\x7c\xa5\x8a\xe8\x19\xaa\x0f\x0d\x01\x35\x40\x01a\x01b\xbe\x20\x3f\xe1\x1f\
      \0\0\x05\0\x01\0\0\0\x01web1\n",
    b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0pingping\0\0\x04\x08\0\0\0\0\0\0\x01\0\0\
      \0\0\x01\x01\0\0\0\0\x01\x88\0\0\x05\x09\x04\0\0\0\x01\0\x01a\x01b\
      \0\0\x09\0\x08\0\0\0\x01\x02bodies\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0",
];

/// One way to spoil a stream.
#[derive(Clone, Debug)]
enum Spoil {
    Flip(Index, u8),
    Cut(Index),
    Drop(Index, usize),
    Again(Index, usize),
    Insert(Index, Vec<u8>),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Flip(at, byte)),
        1 => any::<Index>().prop_map(Spoil::Cut),
        2 => (any::<Index>(), 1_usize..20).prop_map(|(at, n)| Spoil::Drop(at, n)),
        2 => (any::<Index>(), 1_usize..60).prop_map(|(at, n)| Spoil::Again(at, n)),
        2 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Spoil::Insert(at, bytes)),
    ]
}

fn spoilt(answer: &[u8], spoils: &[Spoil]) -> Vec<u8> {
    let mut bytes = answer.to_vec();
    for spoil in spoils {
        let n = bytes.len();
        match spoil {
            _ if n == 0 => {}
            Spoil::Flip(at, byte) => bytes[at.index(n)] = *byte,
            Spoil::Cut(at) => bytes.truncate(at.index(n)),
            Spoil::Drop(at, length) => {
                let at = at.index(n);
                bytes.drain(at..(at + length).min(n));
            }
            Spoil::Again(at, length) => {
                let at = at.index(n);
                let part = bytes[at..(at + length).min(n)].to_vec();
                bytes.splice(at..at, part);
            }
            Spoil::Insert(at, more) => {
                bytes.splice(at.index(n)..at.index(n), more.iter().copied());
            }
        }
    }
    bytes
}

/// Checks of every sort.
fn any_check() -> impl Strategy<Value = Http> {
    let expect = select(vec![
        vec![],
        vec![text("web1")],
        vec![Expectation::Matches(pattern("^web[0-9]\n$"))],
        vec![Expectation::MatchesNot(pattern("error")), text("z")],
        vec![Expectation::Md5("00".to_owned())],
    ]);
    let version = select(vec![HttpVersion::V10, HttpVersion::V11, HttpVersion::V2]);
    let method = select(vec!["GET", "HEAD", "POST"]);
    let body = select(vec![Vec::new(), vec![b'x'; 100_000]]);
    (version, method, body, expect).prop_map(|(version, method, body, expect)| {
        one(version, HttpRequest { method: method.to_owned(), body, expect, ..get("/") })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_spoilt_answer_means_the_same_however_it_is_cut(
        http in any_check(),
        answer in select(ANSWERS.to_vec()),
        spoils in prop::collection::vec(spoil(), 0..6),
        cut: Index,
    ) {
        let bytes = spoilt(answer, &spoils);
        let whole = hear(&http, [&bytes[..]], true);
        prop_assert!(!matches!(whole.0, Told::Waits(_)), "the end is the end");
        let (near, far) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(hear(&http, [near, far], true), whole.clone());
        prop_assert_eq!(hear(&http, bytes.chunks(1), true), whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_server_that_never_stops_is_heard_out_with_little_memory(
        http in any_check(),
        answer in select(ANSWERS.to_vec()),
        spoils in prop::collection::vec(spoil(), 0..3),
        from: Index,
    ) {
        let bytes = spoilt(answer, &spoils);
        prop_assume!(!bytes.is_empty());
        let mut again = bytes[from.index(bytes.len())..].to_vec();
        while again.len() < 10_000 {
            again.extend_from_within(..);
        }
        let mut talk = Talk::new(&http, &target(), None);
        let mut out = Vec::new();
        talk.open(&mut out);
        let mut step = talk.feed(&bytes, &mut out);
        let mut heard = 0;
        while step == Step::More {
            out.clear();
            step = talk.feed(&again, &mut out);
            heard += again.len();
            prop_assert!(out.len() < again.len() + 110_000, "{} bytes said", out.len());
            prop_assert!(talk.held() <= MOST_HELD, "{} bytes held", talk.held());
            prop_assert!(heard < MOST_HEARD, "{}", talk.so_far());
        }
    }

    #[test]
    fn junk_is_bad(http in any_check(), bytes: Vec<u8>) {
        prop_assume!(!bytes.starts_with(b"H"));
        let (told, _) = hear(&http, [&bytes[..]], true);
        prop_assert!(matches!(told, Told::Bad(_)), "{:?}", told);
    }
}
