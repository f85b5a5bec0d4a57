//! What a server sent, or was to send, as words of a failure.
//!
//! Whatever the bytes are, the words are printable, stand on one line and are short: they go to a
//! log, a terminal and a table.

/// So many bytes are shown: the messages of databases are long, and say what mends them at the end.
const SHOWN: usize = 120;

/// These bytes, so that they can be printed; what is too long ends in three dots.
pub(super) fn quote(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let mut words: String = String::new();
    for chunk in shown.utf8_chunks() {
        chunk.valid().chars().for_each(|c| match c {
            '\u{a0}'.. if c.is_alphanumeric() => words.push(c),
            ' '..='~' => words.push(c),
            _ => words.extend(c.escape_default()),
        });
        // A character that was cut in two at the end is not the server's fault, and not shown.
        if !(shown.len() < bytes.len() && shown.ends_with(chunk.invalid())) {
            chunk.invalid().iter().for_each(|byte| words.push_str(&format!("\\x{byte:02x}")));
        }
    }
    if shown.len() < bytes.len() {
        words.push_str("...");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_be_printed_is_shown_as_it_is() {
        assert_eq!(quote(b"554 no \"service\""), "554 no \"service\"");
        assert_eq!(quote("页面 ok".as_bytes()), "页面 ok");
    }

    #[test]
    fn what_cannot_is_shown_as_an_escape() {
        assert_eq!(quote(b"\x16\x03\xff\r\n"), "\\u{16}\\u{3}\\xff\\r\\n");
        assert_eq!(quote("\u{202e}x\u{ad}".as_bytes()), "\\u{202e}x\\u{ad}");
    }

    #[test]
    fn what_is_too_long_ends_in_dots() {
        assert_eq!(quote(&[b'a'; 120]), "a".repeat(120));
        assert_eq!(quote(&[b'a'; 121]), "a".repeat(120) + "...");
        let cut = format!("{}页", "a".repeat(118));
        assert_eq!(quote(cut.as_bytes()), "a".repeat(118) + "...");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_short_line(bytes: Vec<u8>) {
            let words = quote(&bytes);
            prop_assert!(words.len() <= 8 * SHOWN + 3, "{}", words);
            prop_assert!(!words.chars().any(char::is_control), "{}", words);
        }
    }
}
