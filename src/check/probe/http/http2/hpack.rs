//! Header blocks of HTTP/2 (RFC 7541): read in all their forms, written in the plainest.
//!
//! The decoder's memory is its table, 4096 bytes by the RFC's measure. Fields are shown and not
//! kept, so that a small block that says a large field again and again fills nothing, and the sum
//! of what a block says is bounded like any header section.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::fields::STATIC;
use super::huffman;
use crate::check::probe::MOST_BYTES;

/// The table's size unless something else is agreed, which we do not (RFC 9113 section 6.5.2).
const TABLE: usize = 4096;
/// What a field counts beside its bytes (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;

/// What is wrong with a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is none.
    Malformed,
    /// Together, its fields are longer than 64 KiB.
    TooLong,
}

/// Reads header blocks.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Field>,
    /// Of the table, by the RFC's measure.
    size: usize,
    /// What the other side has bound itself to.
    limit: usize,
}

#[derive(Clone, Debug)]
struct Field {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { table: VecDeque::new(), size: 0, limit: TABLE }
    }
}

impl Decoder {
    /// Shows name and value of each field of a whole block.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        mut show: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Fault> {
        let mut rest = block;
        let mut shown = 0;
        let mut begun = false;
        while let Some(first) = rest.first().copied() {
            // RFC 7541 section 4.2: the size changes at the beginning of a block.
            if first & 0xe0 == 0x20 {
                let limit = integer(&mut rest, 5)?;
                if begun || limit > TABLE {
                    return Err(Fault::Malformed);
                }
                self.limit = limit;
                self.evict(0);
                continue;
            }
            begun = true;
            let length = if first & 0x80 != 0 {
                let (name, value) = self.field(integer(&mut rest, 7)?)?;
                show(name, value);
                name.len() + value.len()
            } else {
                let indexed = first & 0x40 != 0;
                let field = self.literal(&mut rest, if indexed { 6 } else { 4 })?;
                show(&field.name, &field.value);
                let length = field.name.len() + field.value.len();
                if indexed {
                    self.insert(field);
                }
                length
            };
            shown += length + OVERHEAD;
            if shown > MOST_BYTES {
                return Err(Fault::TooLong);
            }
        }
        Ok(())
    }

    /// A field whose value, and maybe whose name, stands in the block.
    fn literal(&self, rest: &mut &[u8], prefix: u8) -> Result<Field, Fault> {
        let name = match integer(rest, prefix)? {
            0 => string(rest)?.into_owned(),
            index => self.field(index)?.0.to_owned(),
        };
        Ok(Field { name, value: string(rest)?.into_owned() })
    }

    /// The field at an index: the static table, then ours (RFC 7541 section 2.3.3).
    fn field(&self, index: usize) -> Result<(&[u8], &[u8]), Fault> {
        let place = index.checked_sub(1).ok_or(Fault::Malformed)?;
        if let Some((name, value)) = STATIC.get(place) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let field = self.table.get(place - STATIC.len()).ok_or(Fault::Malformed)?;
        Ok((&field.name, &field.value))
    }

    /// RFC 7541 section 4.4: one that is larger than the table empties it, and is no fault.
    fn insert(&mut self, field: Field) {
        let size = field.name.len() + field.value.len() + OVERHEAD;
        self.evict(size);
        if size <= self.limit {
            self.size += size;
            self.table.push_front(field);
        }
    }

    /// Makes room for so much.
    fn evict(&mut self, room: usize) {
        while self.size + room > self.limit {
            let Some(oldest) = self.table.pop_back() else { return };
            self.size -= oldest.name.len() + oldest.value.len() + OVERHEAD;
        }
    }

    /// So many bytes are kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.table.iter().map(|field| field.name.len() + field.value.len() + OVERHEAD).sum()
    }
}

/// RFC 7541 section 5.1: an integer in the last bits of a byte, and the bytes behind it.
fn integer(rest: &mut &[u8], prefix: u8) -> Result<usize, Fault> {
    let most = (1_usize << prefix) - 1;
    let mut value = usize::from(next(rest)?) & most;
    if value < most {
        return Ok(value);
    }
    // Three more bytes say more than any length in a block may be.
    for shift in [0, 7, 14] {
        let byte = next(rest)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::Malformed)
}

/// RFC 7541 section 5.2.
fn string<'b>(rest: &mut &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
    let coded = rest.first().ok_or(Fault::Malformed)? & 0x80 != 0;
    let length = integer(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(Fault::Malformed)?;
    *rest = after;
    if coded {
        return huffman::decode(bytes).map(Cow::Owned).ok_or(Fault::Malformed);
    }
    Ok(Cow::Borrowed(bytes))
}

fn next(rest: &mut &[u8]) -> Result<u8, Fault> {
    let (byte, after) = rest.split_first().ok_or(Fault::Malformed)?;
    *rest = after;
    Ok(*byte)
}

/// Writes a field as it is: no index, no table, no code (RFC 7541 section 6.2.2).
pub(super) fn write(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(0);
    for text in [name, value] {
        write_length(text.len(), out);
        out.extend_from_slice(text.as_bytes());
    }
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    let Some(mut left) = length.checked_sub(0x7f) else {
        out.push(length as u8);
        return;
    };
    out.push(0x7f);
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
