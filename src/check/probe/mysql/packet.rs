//! Packets of MySQL and MariaDB: what is read of the greeting, of errors, and what is written.
//!
//! Everything that is read is bounds-checked; what a server of old left out counts as empty.

use super::super::line;

/// The command to go.
pub(super) const QUIT: u8 = 1;
/// The only version of the protocol since 1998.
const VERSION: u8 = 10;
/// utf8_general_ci, which all of them know.
const CHARACTERS: u8 = 33;
/// The largest packet that we would take.
const LARGEST: u32 = 64 * 1024;

/// What client and server can do.
pub(super) mod capability {
    pub(in super::super) const TLS: u32 = 1 << 11;
    pub(super) const LONG_PASSWORD: u32 = 1;
    pub(super) const PROTOCOL_41: u32 = 1 << 9;
    pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(super) const PLUGIN_AUTH: u32 = 1 << 19;
}

/// What the server says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Greeting {
    /// What it can do.
    pub(super) capabilities: u32,
    /// What the password is mixed with.
    pub(super) seed: Vec<u8>,
    /// How it would have us log in.
    pub(super) plugin: String,
}

impl Greeting {
    /// Reads one that is no error.
    pub(super) fn parse(payload: &[u8]) -> Result<Greeting, String> {
        let no = || format!("no greeting of MySQL, but {}", line::quote(payload));
        let (version, rest) = payload.split_first().ok_or_else(no)?;
        if *version != VERSION {
            return Err(no());
        }
        let (_name, rest) = zero_ended(rest);
        // Thread (4), seed (8), a zero, capabilities (2); then character set (1), status (2),
        // more capabilities (2), the length of the seed (1), zeros (10), more seed, plugin.
        let (fixed, rest) = rest.split_first_chunk::<15>().ok_or_else(no)?;
        let low = u16::from_le_bytes([fixed[13], fixed[14]]);
        let mut greeting = Greeting {
            capabilities: u32::from(low),
            seed: fixed[4..12].to_vec(),
            plugin: String::new(),
        };
        if let Some((more, rest)) = rest.split_first_chunk::<16>() {
            greeting.capabilities |= u32::from(u16::from_le_bytes([more[3], more[4]])) << 16;
            // At least 13 bytes, the last one zero.
            let (seed, plugin) = rest.split_at(rest.len().min(usize::from(more[5].max(21) - 8)));
            greeting.seed.extend_from_slice(seed.strip_suffix(b"\0").unwrap_or(seed));
            greeting.plugin = String::from_utf8_lossy(zero_ended(plugin).0).into_owned();
        }
        if greeting.capabilities & capability::PROTOCOL_41 == 0 {
            return Err("it is older than MySQL 4.1".to_owned());
        }
        Ok(greeting)
    }
}

/// Up to a zero byte, and what follows on it.
pub(super) fn zero_ended(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// How long the first packet is without its four bytes of header.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, _number] = *bytes.first_chunk()?;
    Some(u32::from_le_bytes([a, b, c, 0]) as usize)
}

/// A packet with this number.
pub(super) fn put(number: u8, payload: &[u8], out: &mut Vec<u8>) {
    // A login, which is far below 16 MiB.
    let [a, b, c, _] = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    out.extend_from_slice(&[a, b, c, number]);
    out.extend_from_slice(payload);
}

/// What a login begins with; all of it where TLS is asked for.
pub(super) fn opening(more: u32) -> Vec<u8> {
    let mine = capability::LONG_PASSWORD
        | capability::PROTOCOL_41
        | capability::SECURE_CONNECTION
        | capability::PLUGIN_AUTH;
    let mut body = (mine | more).to_le_bytes().to_vec();
    body.extend_from_slice(&LARGEST.to_le_bytes());
    body.push(CHARACTERS);
    body.extend_from_slice(&[0; 23]);
    body
}

fn code(payload: &[u8]) -> u16 {
    payload.get(1..3).map_or(0, |code| u16::from_le_bytes([code[0], code[1]]))
}

/// Whether the user is refused, and not the host or everybody.
pub(super) fn is_refusal(payload: &[u8]) -> bool {
    // ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_ERROR, ER_NOT_SUPPORTED_AUTH_MODE,
    // ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCOUNT_HAS_BEEN_LOCKED
    const REFUSALS: [u16; 6] = [1044, 1045, 1251, 1698, 1862, 3118];
    REFUSALS.contains(&code(payload))
}

/// The text and the number of an error.
pub(super) fn error(payload: &[u8]) -> String {
    let message = payload.get(3..).unwrap_or_default();
    // Errors before the login have no SQLSTATE.
    let message = match message {
        [b'#', _, _, _, _, _, message @ ..] => message,
        message => message,
    };
    format!("error {} ({})", line::quote(message), code(payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>, rest: Vec<u8>) {
            Greeting::parse(&bytes).ok();
            Greeting::parse(&[b"\x0a5\0", &rest[..]].concat()).ok();
            error(&bytes);
            is_refusal(&bytes);
            length(&bytes);
        }
    }
}
