//! A body in chunks (RFC 9112 section 7.1), cut anywhere.
//!
//! Hands on what is in the chunks and keeps nothing. The judge bounds the body; what stands beside
//! it, which nobody looks at, is bounded here.

use std::ops::ControlFlow;

use super::judge::{Judge, Verdict, bad};
use crate::check::probe::MOST_BYTES;

/// So many bytes may come beside the body, and for each of its bytes so many more: a chunk of one
/// byte brings five others.
const MOST_BESIDE: u64 = MOST_BYTES as u64;
const BESIDE_EACH: u64 = 16;
/// More digits of a chunk's size than any body needs: 4 PiB.
const MOST_DIGITS: u8 = 13;

/// What is still to come of a body in chunks.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    part: Part,
    /// The size of the chunk, or what is left of it.
    size: u64,
    /// Digits of the size so far.
    digits: u8,
    /// Bytes of the body so far, and beside it.
    body: u64,
    beside: u64,
    /// Bytes of this line of the trailer section.
    line: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Size,
    /// The rest of the line with the size.
    Extension,
    Data,
    /// The end of line behind the data.
    End,
    Trailer,
}

impl Chunked {
    /// Takes bytes up to the end of the body.
    pub(super) fn feed(&mut self, bytes: &mut &[u8], judge: &mut Judge) -> Verdict {
        while let Some((byte, rest)) = bytes.split_first() {
            if let Part::Data = self.part {
                self.data(bytes, judge)?;
                continue;
            }
            *bytes = rest;
            self.beside += 1;
            if self.beside > MOST_BESIDE + BESIDE_EACH * self.body {
                return bad("the body's chunks are not worth their lines");
            }
            match (self.part, *byte) {
                (Part::Size, digit) if digit.is_ascii_hexdigit() => self.digit(digit)?,
                (Part::Size | Part::Extension, b'\n') if self.digits > 0 => self.begin(),
                (Part::Size, b';' | b' ' | b'\t' | b'\r') if self.digits > 0 => {
                    self.part = Part::Extension;
                }
                (Part::Size, _) => return bad("a chunk has no size"),
                (Part::End, b'\n') => self.part = Part::Size,
                (Part::End, b'\r') | (Part::Extension, _) => {}
                (Part::End, _) => return bad("a chunk is longer than it says"),
                (Part::Trailer, b'\n') if self.line == 0 => {
                    return ControlFlow::Break(judge.end());
                }
                (Part::Trailer, b'\n') => self.line = 0,
                (Part::Trailer, b'\r') => {}
                (Part::Trailer, _) => self.line += 1,
                (Part::Data, _) => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn digit(&mut self, digit: u8) -> Verdict {
        let value = (digit as char).to_digit(16).unwrap_or(0);
        self.size = self.size << 4 | u64::from(value);
        self.digits += 1;
        if self.digits > MOST_DIGITS {
            return bad("a chunk's size is no number");
        }
        ControlFlow::Continue(())
    }

    /// The line with the size is over.
    fn begin(&mut self) {
        self.part = if self.size == 0 { Part::Trailer } else { Part::Data };
        self.digits = 0;
        self.line = 0;
    }

    fn data(&mut self, bytes: &mut &[u8], judge: &mut Judge) -> Verdict {
        let n = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len());
        let (body, rest) = bytes.split_at(n);
        *bytes = rest;
        self.size -= n as u64;
        self.body += n as u64;
        if self.size == 0 {
            self.part = Part::End;
        }
        judge.body(body)
    }
}
