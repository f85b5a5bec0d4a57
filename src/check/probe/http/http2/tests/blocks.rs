//! Header blocks, among them those of RFC 7541's appendix C.

use proptest::prelude::*;

use super::super::hpack::{Decoder, Fault, write};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Fault> {
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.push(format!("{}: {}", text(name), text(value)));
    })?;
    Ok(fields)
}

#[track_caller]
fn shows(decoder: &mut Decoder, hex: &str, fields: &[&str]) {
    assert_eq!(decode(decoder, &bytes(hex)).expect("a block"), fields);
}

#[test]
fn the_requests_of_appendix_c_4_are_read() {
    let mut decoder = Decoder::default();
    let common = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
    shows(&mut decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", &common);
    assert_eq!(decoder.held(), 57);
    let with_cache = [&common[..], &["cache-control: no-cache"]].concat();
    shows(&mut decoder, "8286 84be 5886 a8eb 1064 9cbf", &with_cache);
    assert_eq!(decoder.held(), 110);
    let other =
        [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com"];
    let other = [&other[..], &["custom-key: custom-value"]].concat();
    let hex = "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf";
    shows(&mut decoder, hex, &other);
    assert_eq!(decoder.held(), 164);
}

#[test]
fn the_answers_of_appendix_c_6_are_read_and_old_fields_fall_out() {
    let mut decoder = Decoder::default();
    // The table has 256 bytes there: said with a size update in front.
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    let location = "location: https://www.example.com";
    let hex = "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 \
               82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    let fields = [":status: 302", "cache-control: private", date, location];
    shows(&mut decoder, hex, &fields);
    assert_eq!(decoder.held(), 222);
    let fields = [":status: 307", "cache-control: private", date, location];
    shows(&mut decoder, "4883 640e ffc1 c0bf", &fields);
    let hex = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
               77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
               9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let date = "date: Mon, 21 Oct 2013 20:13:22 GMT";
    let encoding = "content-encoding: gzip";
    let fields = [":status: 200", "cache-control: private", date, location, encoding, cookie];
    shows(&mut decoder, hex, &fields);
    assert_eq!(decoder.held(), 215);
}

#[test]
fn a_field_that_is_not_to_be_indexed_is_not() {
    let mut decoder = Decoder::default();
    shows(&mut decoder, "0003 6162 6303 7879 7a", &["abc: xyz"]);
    shows(&mut decoder, "1003 6162 6303 7879 7a", &["abc: xyz"]);
    shows(&mut decoder, "0803 3530 32", &[":status: 502"]);
    assert_eq!(decoder.held(), 0);
}

#[test]
fn a_field_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::default();
    shows(&mut decoder, "4001 6101 62", &["a: b"]);
    assert_eq!(decoder.held(), 34);
    let mut large = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1f];
    large.extend_from_slice(&[b'x'; 4128]);
    assert!(decode(&mut decoder, &large).is_ok());
    assert_eq!(decoder.held(), 0);
    shows(&mut decoder, "4001 6101 62", &["a: b"]);
    // As does a table of no size, which nothing is put into.
    shows(&mut decoder, "20", &[]);
    assert_eq!(decoder.held(), 0);
    shows(&mut decoder, "4001 6101 62", &["a: b"]);
    assert_eq!(decoder.held(), 0);
}

#[test]
fn what_is_no_block_is_malformed() {
    for hex in [
        "80",           // index 0
        "be",           // beyond the tables
        "ff80 8080",    // an integer without end
        "3fe2 1f",      // a table of 4097 bytes
        "8820",         // a size update behind a field
        "40",           // no name
        "4001",         // half a name
        "4001 61",      // no value
        "4001 6105 61", // half a value
        "0081 ff00",    // a name in a code that is none
    ] {
        assert_eq!(decode(&mut Decoder::default(), &bytes(hex)), Err(Fault::Malformed), "{hex}");
    }
}

#[test]
fn a_small_block_cannot_say_much() {
    let mut decoder = Decoder::default();
    let mut block = vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e];
    block.extend_from_slice(&[b'x'; 3968]);
    block.extend_from_slice(&[0xbe; 60_000]);
    let mut shown = 0;
    let result = decoder.decode(&block, |name, value| shown += name.len() + value.len());
    assert_eq!(result, Err(Fault::TooLong));
    assert!(shown < 70_000, "{shown}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(name in "[a-z-]{1,300}", value in "\\PC{0,300}") {
        let mut block = Vec::new();
        write(&name, &value, &mut block);
        let fields = decode(&mut Decoder::default(), &block);
        prop_assert_eq!(fields, Ok(vec![format!("{name}: {value}")]));
    }

    #[test]
    fn the_table_never_outgrows_its_bound(blocks: Vec<Vec<u8>>) {
        let mut decoder = Decoder::default();
        for block in blocks {
            decode(&mut decoder, &block).ok();
            prop_assert!(decoder.held() <= 4096);
        }
    }
}
