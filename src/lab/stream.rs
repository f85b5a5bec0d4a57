//! Reading from streams that signals may interrupt.
//!
//! A read with a time limit is interrupted by any signal, also by one that stops and resumes the
//! process, and would otherwise pass for the end of the stream.

use std::io::{ErrorKind, Read, Result};

/// What there is, at least one byte, or nothing at the end.
pub(super) fn read_some(stream: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
