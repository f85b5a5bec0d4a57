//! Netlink attributes: a length, a type, a value, padded to four bytes (`linux/netlink.h`).
//!
//! The reader borrows and checks every length; the writer appends to a buffer that is used again
//! and again, so that encoding thousands of messages allocates once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ipvs::model::{Family, KernelName, NameError};

/// Bytes of an attribute's header.
const HEADER: usize = 4;
/// The value consists of attributes (`NLA_F_NESTED`).
const NESTED: u16 = 1 << 15;
/// The attribute's type without its flags (`NLA_TYPE_MASK`).
const TYPE_MASK: u16 = 0x3fff;

/// Why bytes are not a message of the family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A length points past the end.
    #[error("the {what} is cut short")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// A value has a size that its type cannot have.
    #[error("attribute {attribute} has {length} bytes")]
    Length {
        /// Its name in `ip_vs.h`, without the prefix.
        attribute: &'static str,
        /// Bytes it has.
        length: usize,
    },
    /// Something that every such message has is not there.
    #[error("attribute {attribute} is missing")]
    Missing {
        /// Its name in `ip_vs.h`, without the prefix.
        attribute: &'static str,
    },
    /// A number that we have no meaning for.
    #[error("attribute {attribute} has the unknown value {value}")]
    Value {
        /// Its name in `ip_vs.h`, without the prefix.
        attribute: &'static str,
        /// The number.
        value: u32,
    },
    /// A name that cannot be one.
    #[error("attribute {attribute} is no name")]
    Name {
        /// Its name in `ip_vs.h`, without the prefix.
        attribute: &'static str,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// A command that this kind of message cannot have.
    #[error("command {command} does not belong here")]
    Command {
        /// Its number (`IPVS_CMD_*`).
        command: u8,
    },
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    /// Its type, without flags.
    pub(super) kind: u16,
    /// Its value, without padding.
    pub(super) value: &'a [u8],
}

impl Attribute<'_> {
    pub(super) fn u8(&self, attribute: &'static str) -> Result<u8, DecodeError> {
        self.array(attribute).map(|[byte]| byte)
    }

    pub(super) fn u16(&self, attribute: &'static str) -> Result<u16, DecodeError> {
        self.array(attribute).map(u16::from_ne_bytes)
    }

    pub(super) fn be16(&self, attribute: &'static str) -> Result<u16, DecodeError> {
        self.array(attribute).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, attribute: &'static str) -> Result<u32, DecodeError> {
        self.array(attribute).map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&self, attribute: &'static str) -> Result<u64, DecodeError> {
        self.array(attribute).map(u64::from_ne_bytes)
    }

    /// The leading bytes of the value; like the kernel, we let it be longer than it has to.
    pub(super) fn array<const N: usize>(
        &self,
        attribute: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let length = self.value.len();
        self.value.first_chunk().copied().ok_or(DecodeError::Length { attribute, length })
    }

    /// A text that may or may not end in NUL; `None` when it is empty.
    pub(super) fn name(&self, attribute: &'static str) -> Result<Option<KernelName>, DecodeError> {
        let end = self.value.iter().position(|b| *b == 0).unwrap_or(self.value.len());
        match self.value.get(..end) {
            None | Some([]) => Ok(None),
            Some(name) => KernelName::from_bytes(name)
                .map(Some)
                .map_err(|source| DecodeError::Name { attribute, source }),
        }
    }
}

/// Reads a family number (`AF_INET`, `AF_INET6`).
pub(super) fn family(number: u16) -> Result<Family, DecodeError> {
    match number {
        AF_INET => Ok(Family::Ipv4),
        AF_INET6 => Ok(Family::Ipv6),
        other => Err(DecodeError::Value { attribute: "AF", value: other.into() }),
    }
}

/// `AF_INET` of `linux/socket.h`.
pub(super) const AF_INET: u16 = 2;
/// `AF_INET6` of `linux/socket.h`.
pub(super) const AF_INET6: u16 = 10;

/// The number of a family.
pub(super) fn family_number(family: Family) -> u16 {
    match family {
        Family::Ipv4 => AF_INET,
        Family::Ipv6 => AF_INET6,
    }
}

/// Reads an address out of `union nf_inet_addr`. What follows an IPv4 address is whatever was in
/// the sender's memory (ipvsadm leaves a piece of the virtual address there).
pub(super) fn address(
    attribute: &Attribute<'_>,
    family: Family,
    name: &'static str,
) -> Result<IpAddr, DecodeError> {
    Ok(match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(attribute.array::<4>(name)?)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(attribute.array::<16>(name)?)),
    })
}

/// Walks over the attributes in some bytes.
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Fewer bytes than a header are padding, which the kernel ignores as well.
        let (&[l0, l1, t0, t1], _) = self.rest.split_first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([t0, t1]) & TYPE_MASK;
        let Some(value) = self.rest.get(HEADER..length) else {
            self.rest = &[];
            return Some(Err(DecodeError::Truncated { what: "attribute" }));
        };
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(Attribute { kind, value }))
    }
}

/// Appends attributes to a buffer.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    pub(super) fn u16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    pub(super) fn be16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// An address as `union nf_inet_addr`: always 16 bytes, IPv4 in the first four.
    pub(super) fn address(&mut self, kind: u16, addr: IpAddr) {
        let mut union = [0; 16];
        match addr {
            IpAddr::V4(v4) => union[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => union = v6.octets(),
        }
        self.bytes(kind, &union);
    }

    /// A text with its final NUL.
    pub(super) fn name(&mut self, kind: u16, name: &str) {
        let start = self.open(kind);
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        self.close(start);
    }

    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.out.extend_from_slice(value);
        self.close(start);
    }

    /// An attribute made of attributes.
    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>)) {
        let start = self.open(kind | NESTED);
        fill(&mut Writer { out: self.out });
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        self.out.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.out.len() - start);
        assert!(length.is_ok(), "a nest of bounded fields is far below 64 KiB");
        let length = length.unwrap_or_default();
        self.out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }
}
