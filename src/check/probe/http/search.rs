//! Looks for a text in a stream of bytes, of which it keeps none.
//!
//! Knuth, Morris and Pratt's way: how much of the text the last bytes were is all there is to
//! know, so that a text that is cut into pieces by chunks and frames is found like any other, in
//! time that is linear in what came.

/// A search for one text.
#[derive(Debug)]
pub(super) struct Search {
    text: Vec<u8>,
    /// For each length of the text's beginning: how much of the beginning it ends with again.
    again: Vec<usize>,
    /// So many of its bytes were the last that came; all of them once it was found.
    matched: usize,
}

impl Search {
    pub(super) fn new(text: &[u8]) -> Search {
        let mut again = vec![0; text.len()];
        let mut matched = 0;
        for i in 1..text.len() {
            matched = longer(text, &again, matched, text[i]);
            again[i] = matched;
        }
        Search { text: text.to_vec(), again, matched: 0 }
    }

    /// Looks on in the bytes that follow.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_found() {
                return;
            }
            self.matched = longer(&self.text, &self.again, self.matched, *byte);
        }
    }

    /// Whether it was there.
    pub(super) fn is_found(&self) -> bool {
        self.matched == self.text.len()
    }

    /// What is looked for.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// How much of the text is matched, with one byte more; not yet all of it before.
fn longer(text: &[u8], again: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && text[matched] != byte {
        matched = again[matched - 1];
    }
    if text[matched] == byte { matched + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finds(text: &[u8], pieces: &[&[u8]]) -> bool {
        let mut search = Search::new(text);
        pieces.iter().for_each(|piece| search.look(piece));
        search.is_found()
    }

    #[test]
    fn a_text_is_found_across_the_pieces_it_comes_in() {
        assert!(finds(b"hello", &[b"he", b"", b"llo"]));
        assert!(finds(b"aab", &[b"a", b"a", b"a", b"b"]));
        assert!(!finds(b"aab", &[b"aa", b"c", b"ab"]));
    }

    #[test]
    fn nothing_is_everywhere() {
        assert!(finds(b"", &[]));
        assert!(finds(b"", &[b"x"]));
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            text in "[ab]{1,6}", hay in "[ab]{0,40}", cut in 0_usize..40,
        ) {
            let (near, far) = hay.split_at(cut.min(hay.len()));
            let found = finds(text.as_bytes(), &[near.as_bytes(), far.as_bytes()]);
            prop_assert_eq!(found, hay.contains(&text));
        }
    }
}
