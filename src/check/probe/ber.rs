//! As much of BER (X.690) as LDAP and a key in DER take: tags of one byte, definite lengths (RFC
//! 4511 section 5.1).
//!
//! Nothing is kept: an [`Element`] is a view of the bytes that it was read from, and reading one
//! that is not whole gives none.

/// An element: its tag and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and what follows on it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (tag, header, length) = head(bytes)?.ok()?;
        let (content, rest) = bytes.get(header..)?.split_at_checked(length)?;
        Some((Element { tag, content }, rest))
    }
}

/// How long the first element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// More has to come before that is known.
    More,
    /// So many bytes.
    After(usize),
    /// No length that we take.
    Never,
}

/// How long the first element is, with its head.
pub(super) fn whole(bytes: &[u8]) -> Whole {
    match head(bytes) {
        None => Whole::More,
        Some(Ok((_, header, length))) => Whole::After(header + length),
        Some(Err(())) => Whole::Never,
    }
}

/// The tag, how long the head is, and how long what is in it. None: more has to come.
fn head(bytes: &[u8]) -> Option<Result<(u8, usize, usize), ()>> {
    let [tag, first] = *bytes.first_chunk()?;
    let count = match first {
        0..=0x7f => return Some(Ok((tag, 2, usize::from(first)))),
        // Four bytes are 4 GiB, which nothing has.
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Some(Err(())),
    };
    let digits = bytes.get(2..2 + count)?;
    let length = digits.iter().fold(0, |length: usize, digit| length << 8 | usize::from(*digit));
    Some(Ok((tag, 2 + count, length)))
}

/// Writes an element.
pub(super) fn put(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            // What is sent has a login and a name in it, far below 4 GiB.
            let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
            out.push(0x84);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_short_or_long() {
        assert_eq!(whole(b"\x30"), Whole::More);
        assert_eq!(whole(b"\x30\x05"), Whole::After(7));
        assert_eq!(whole(b"\x30\x82\x01"), Whole::More);
        assert_eq!(whole(b"\x30\x82\x01\x00"), Whole::After(260));
        assert_eq!(whole(b"\x30\x84\xff\xff\xff\xff"), Whole::After(0xffff_ffff + 6));
        assert_eq!(whole(b"\x30\x80"), Whole::Never);
        assert_eq!(whole(b"\x30\x85"), Whole::Never);
        assert_eq!(Element::read(b"\x04\x02a"), None);
        let read = Element::read(b"\x04\x01ab");
        assert_eq!(read, Some((Element { tag: 4, content: b"a" }, &b"b"[..])));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            tag: u8, content in prop::collection::vec(any::<u8>(), 0..600), rest: Vec<u8>
        ) {
            let mut bytes = Vec::new();
            put(tag, &content, &mut bytes);
            prop_assert_eq!(whole(&bytes), Whole::After(bytes.len()));
            bytes.extend_from_slice(&rest);
            let element = Element { tag, content: &content };
            prop_assert_eq!(Element::read(&bytes), Some((element, &rest[..])));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>) {
            Element::read(&bytes);
            whole(&bytes);
        }
    }
}
