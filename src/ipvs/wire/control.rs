//! The family that numbers the other families (`GENL_ID_CTRL` of `linux/genetlink.h`).
//!
//! The number of `IPVS` is given when its module is loaded, so it has to be asked for each time.
//! To ask is to load: the kernel looks for a module that has the family.

use super::attribute::{Attributes, DecodeError, Writer};
use super::frame;

/// The number of the numbering family itself, the only one that is fixed.
pub const CONTROL_FAMILY: u16 = 0x10;

const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// Appends the question for a family's number; `ENOENT` if the kernel does not have it, after it
/// tried to load a module that does.
pub fn encode_lookup(out: &mut Vec<u8>, name: &str) {
    frame::genl_header(out, CTRL_CMD_GETFAMILY);
    Writer::new(out).name(CTRL_ATTR_FAMILY_NAME, name);
}

/// Reads the number out of the answer.
pub fn decode_family(payload: &[u8]) -> Result<u16, DecodeError> {
    let Some((_, attributes)) = payload.split_first_chunk::<4>() else {
        return Err(DecodeError::Truncated { what: "generic netlink header" });
    };
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        if attribute.kind == CTRL_ATTR_FAMILY_ID {
            return attribute.u16("FAMILY_ID");
        }
    }
    Err(DecodeError::Missing { attribute: "FAMILY_ID" })
}
