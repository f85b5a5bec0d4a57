//! The classic pcap file format, as tcpdump and Wireshark read it. Pure.
//!
//! Nanosecond timestamps, Ethernet frames, little-endian.

use std::time::Duration;

/// The magic number of files with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Version 2.4, the only one in use.
const VERSION: (u16, u16) = (2, 4);
/// No frame of the lab is longer.
const SNAP_LENGTH: u32 = 262_144;
/// LINKTYPE_ETHERNET.
const LINK_TYPE: u32 = 1;

/// The start of a file.
pub fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    bytes.extend(VERSION.0.to_le_bytes());
    bytes.extend(VERSION.1.to_le_bytes());
    // Two fields that nobody has ever used: time zone and accuracy.
    bytes.extend([0; 8]);
    bytes.extend(SNAP_LENGTH.to_le_bytes());
    bytes.extend(LINK_TYPE.to_le_bytes());
    bytes
}

/// One frame, seen at this time since 1970.
pub fn record(at: Duration, frame: &[u8]) -> Vec<u8> {
    let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
    let whole = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let kept = whole.min(SNAP_LENGTH);
    let mut bytes = Vec::with_capacity(16 + frame.len());
    for word in [seconds, at.subsec_nanos(), kept, whole] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(frame.iter().take(SNAP_LENGTH as usize));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_tcpdump_writes() {
        // `tcpdump --time-stamp-precision=nano -w`, the same frame.
        let header_bytes =
            [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        assert_eq!(header(), header_bytes);
        let bytes = record(Duration::new(1, 2), b"frame");
        assert_eq!(bytes[..16], [1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(&bytes[16..], b"frame");
    }
}
