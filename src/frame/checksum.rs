//! The Internet checksum (RFC 1071), with the pseudo-headers of IPv4 and IPv6.
//!
//! VRRP and neighbour discovery both need it. What is summed is given in pieces, so that no buffer
//! has to be put together for it. Lengths are those of whole messages, which are even.

use std::net::IpAddr;

/// What the sum over a message with the right checksum in it comes to.
const RIGHT: u16 = 0xffff;

/// A sum under way: one's complement, carries not yet folded in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Begins with the pseudo-header of a message of this length: RFC 9293 3.1 for IPv4, RFC 8200
    /// 8.1 for IPv6. Addresses of two families are summed as they are, which matches nothing.
    pub(crate) fn pseudo_header(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        // Zeros do not change the sum, so that one line does for the 16 bits of IPv4 and the 32 of
        // IPv6.
        let length = u64::try_from(length).unwrap_or(u64::MAX >> 16);
        Sum(u64::from(protocol) + length).address(source).address(destination)
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.add(&address.octets()),
            IpAddr::V6(address) => self.add(&address.octets()),
        }
    }

    /// Adds bytes. An odd one at the end counts as if a zero followed, so only the last piece may
    /// have one.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        let sum: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
        let last = rest.first().map_or(0, |byte| u64::from(u16::from_be_bytes([*byte, 0])));
        Sum(self.0 + sum + last)
    }

    /// What belongs in the checksum field, if that was zero or left out.
    pub(crate) fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether the checksum was right, if the field was among what was added.
    pub(crate) fn is_right(self) -> bool {
        self.folded() == RIGHT
    }

    fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).expect("folded until it fits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_rfc_1071() {
        // Section 3: the words 0001 f203 f4f5 f6f7 add up to ddf2.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().add(&example).checksum(), !0xddf2);
        let with_checksum = Sum::default().add(&example).add(&(!0xddf2_u16).to_be_bytes());
        assert!(with_checksum.is_right());
        assert!(!Sum::default().add(&example).is_right());
    }

    #[test]
    fn an_odd_byte_counts_as_if_a_zero_followed() {
        let odd = Sum::default().add(&[1, 2, 3]);
        assert_eq!(odd.checksum(), Sum::default().add(&[1, 2, 3, 0]).checksum());
    }
}
