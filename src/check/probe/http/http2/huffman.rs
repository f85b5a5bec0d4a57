//! Huffman-coded strings of HPACK (RFC 7541 appendix B).
//!
//! The code is canonical: shorter codes come first, and of codes as long as each other, the one of
//! the smaller symbol. So the lengths are the whole code, and a string is decoded by counting.

/// The symbols with a code of each length, in order. 256 is the end of the string.
static SYMBOLS: [(u8, &[u16]); 21] = [
    (5, &[48, 49, 50, 97, 99, 101, 105, 111, 115, 116]),
    (
        6,
        &[
            32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104,
            108, 109, 110, 112, 114, 117,
        ],
    ),
    (
        7,
        &[
            58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86,
            87, 89, 106, 107, 113, 118, 119, 120, 121, 122,
        ],
    ),
    (8, &[38, 42, 44, 59, 88, 90]),
    (10, &[33, 34, 40, 41, 63]),
    (11, &[39, 43, 124]),
    (12, &[35, 62]),
    (13, &[0, 36, 64, 91, 93, 126]),
    (14, &[94, 125]),
    (15, &[60, 96, 123]),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (
        22,
        &[
            129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185,
            186, 187, 189, 190, 196, 198, 228, 232, 233,
        ],
    ),
    (
        23,
        &[
            1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166,
            168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239,
        ],
    ),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (
        27,
        &[
            203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252,
            253, 254,
        ],
    ),
    (
        28,
        &[
            2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28,
            29, 30, 31, 127, 220, 249,
        ],
    ),
    (30, &[10, 13, 22, 256]),
];

/// The string that these bytes are the code of; none if they are of none.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes.len() * 8 / 5);
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1));
    loop {
        let (mut code, mut length) = (0_u32, 0_u8);
        // The first code of a length follows the last one of the length before, with a bit more.
        let mut first = 0_u32;
        let symbol = 'symbol: {
            for (of_length, symbols) in &SYMBOLS {
                while length < *of_length {
                    let Some(bit) = bits.next() else {
                        return is_padding(code, length).then_some(text);
                    };
                    (code, length, first) = (code << 1 | u32::from(bit), length + 1, first << 1);
                }
                let place = code - first;
                if let Some(symbol) = symbols.get(place as usize) {
                    break 'symbol *symbol;
                }
                first += symbols.len() as u32;
            }
            return None;
        };
        // RFC 7541 section 5.2: the end of the string does not stand in it.
        text.push(u8::try_from(symbol).ok()?);
    }
}

/// Whether so many bits may be left over: fewer than a byte's, all of them 1 (RFC 7541 section
/// 5.2).
fn is_padding(code: u32, length: u8) -> bool {
    length < 8 && code == (1 << length) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The code of one symbol, and its length.
    fn code(wanted: u16) -> (u32, u8) {
        let (mut next, mut length) = (0_u32, 0);
        for (of_length, symbols) in &SYMBOLS {
            next <<= of_length - length;
            length = *of_length;
            if let Some(place) = symbols.iter().position(|symbol| *symbol == wanted) {
                return (next + place as u32, length);
            }
            next += symbols.len() as u32;
        }
        panic!("{wanted} has no code");
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text {
            let (code, length) = code(u16::from(*byte));
            bits.push_str(&format!("{code:0width$b}", width = usize::from(length)));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let byte = |i: usize| u8::from_str_radix(&bits[i..i + 8], 2).expect("bits");
        (0..bits.len()).step_by(8).map(byte).collect()
    }

    #[test]
    fn the_code_is_complete_and_every_symbol_has_one() {
        let all: u64 = SYMBOLS.iter().map(|(n, s)| (s.len() as u64) << (30 - n)).sum();
        assert_eq!(all, 1 << 30, "Kraft's sum is one");
        let mut symbols: Vec<u16> = SYMBOLS.iter().flat_map(|(_, s)| s.iter().copied()).collect();
        symbols.sort_unstable();
        assert_eq!(symbols, (0..=256).collect::<Vec<u16>>());
        assert!(SYMBOLS.iter().all(|(_, symbols)| symbols.is_sorted()));
    }

    /// Codes as the RFC's appendix has them, one of each part of the table.
    #[test]
    fn the_codes_are_those_of_the_appendix() {
        let some = [(48, 0x0, 5), (97, 0x3, 5), (32, 0x14, 6), (58, 0x5c, 7), (38, 0xf8, 8)];
        let more = [(33, 0x3f8, 10), (0, 0x1ff8, 13), (92, 0x7fff0, 19), (128, 0xfffe6, 20)];
        let last = [(1, 0x7fffd8, 23), (255, 0x3ffffee, 26), (249, 0xffffffe, 28)];
        let end = [(10, 0x3ffffffc, 30), (256, 0x3fffffff, 30)];
        for (symbol, bits, length) in some.into_iter().chain(more).chain(last).chain(end) {
            assert_eq!(code(symbol), (bits, length), "{symbol}");
        }
    }

    /// RFC 7541 appendix C.4 and C.6.
    #[test]
    fn the_strings_of_the_rfc_are_read() {
        let read = |bytes: &[u8]| decode(bytes).map(|text| String::from_utf8(text).expect("text"));
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(read(&www).as_deref(), Some("www.example.com"));
        assert_eq!(read(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).as_deref(), Some("no-cache"));
        assert_eq!(read(&[0x64, 0x02]).as_deref(), Some("302"));
    }

    #[test]
    fn padding_is_less_than_a_byte_and_all_ones() {
        assert_eq!(decode(&[]), Some(vec![]));
        assert_eq!(decode(&[0x07]), Some(b"0".to_vec()));
        assert_eq!(decode(&[0x06]), None, "a zero in it");
        assert_eq!(decode(&[0xff]), None, "a whole byte of it");
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff]), None, "the end of the string");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(text: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn nothing_makes_it_longer_than_8_fifths(bytes: Vec<u8>) {
            let length = decode(&bytes).map_or(0, |text| text.len());
            prop_assert!(length * 5 <= bytes.len() * 8);
        }
    }
}
