//! Lines, and the replies of one or more lines that SMTP, FTP and NNTP have in common.
//!
//! A line ends with LF, with or without CR before it. One that is longer than any of these
//! protocols allows is no line. What a server wrote is quoted in a failure as it was written, but
//! for what would not fit on a terminal.

use super::exchange::Cut;

/// The longest line, with its end. RFC 5321 has 512 bytes, RFC 9051 advises 8192.
const LONGEST: usize = 8192;

/// Where the first line ends.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let seen = &bytes[..bytes.len().min(LONGEST)];
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(at) => Cut::After(at + 1),
        None if seen.len() == LONGEST => Cut::Never(format!("a line of {LONGEST} bytes")),
        None => Cut::More,
    }
}

/// A line without its end.
pub(super) fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a server wrote, as it is shown.
pub(super) fn quote(bytes: &[u8]) -> String {
    format!("`{}`", super::quote::quote(bytes.trim_ascii()))
}

/// Whether a word can be sent as part of a line, and cannot begin another.
pub(super) fn fits(word: &str) -> bool {
    !word.contains(['\r', '\n', '\0'])
}

/// A reply with a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Its three digits.
    pub(super) code: u16,
    /// All of its lines, the first one first.
    pub(super) lines: Vec<Vec<u8>>,
}

impl Reply {
    /// How it is quoted: its first line.
    pub(super) fn quoted(&self) -> String {
        quote(self.lines.first().map_or(&[][..], Vec::as_slice))
    }
}

/// Gathers the lines of a reply.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    reply: Option<Reply>,
    /// Between the first and the last line anything may stand (RFC 959 section 4.2), not only
    /// lines that begin with the code (RFC 5321 section 4.2.1).
    loose: bool,
}

impl Gathering {
    /// As FTP has them.
    pub(super) fn loose() -> Gathering {
        Gathering { reply: None, loose: true }
    }

    /// Takes a line. The reply, if it is the last of one; `Err` if it cannot be part of one.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, String> {
        let line = text(line);
        let (code, goes_on) = match (head(line), &self.reply) {
            (Some((code, goes_on)), None) => (code, goes_on),
            (Some((code, goes_on)), Some(reply)) if reply.code == code => (code, goes_on),
            (_, Some(reply)) if self.loose => (reply.code, true),
            _ => return Err(format!("no reply, but {}", quote(line))),
        };
        let reply = self.reply.get_or_insert(Reply { code, lines: Vec::new() });
        reply.lines.push(line.to_vec());
        Ok(if goes_on { None } else { self.reply.take() })
    }
}

/// A line's code, and whether more lines follow.
fn head(line: &[u8]) -> Option<(u16, bool)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.first() {
        None | Some(b' ') => Some((code, false)),
        Some(b'-') => Some((code, true)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_lf_or_never() {
        assert_eq!(cut(b""), Cut::More);
        assert_eq!(cut(b"abc\r"), Cut::More);
        assert_eq!(cut(b"abc\r\ndef\n"), Cut::After(5));
        assert_eq!(cut(&[b'x'; LONGEST - 1]), Cut::More);
        let mut long = vec![b'x'; LONGEST - 1];
        long.push(b'\n');
        assert_eq!(cut(&long), Cut::After(LONGEST));
        long.insert(0, b'x');
        assert_eq!(cut(&long), Cut::Never("a line of 8192 bytes".into()));
        assert_eq!(text(b"abc\r\n"), b"abc");
        assert_eq!(text(b"abc\n"), b"abc");
    }

    #[test]
    fn replies_of_several_lines_end_with_the_one_without_a_dash() {
        let mut strict = Gathering::default();
        assert_eq!(strict.line(b"250-a\r\n"), Ok(None));
        assert_eq!(strict.line(b"250-b\r\n"), Ok(None));
        let reply = strict.line(b"250 c\r\n").expect("a reply").expect("a whole one");
        assert_eq!((reply.code, reply.lines.len(), reply.quoted()), (250, 3, "`250-a`".into()));
        assert_eq!(strict.line(b"220\r\n").expect("a reply").expect("a whole one").code, 220);
        assert!(strict.line(b"hello\r\n").is_err());
        assert!(strict.line(b"2200 x\r\n").is_err());
        assert_eq!(strict.line(b"250-a\r\n"), Ok(None));
        assert!(strict.line(b"251 b\r\n").is_err());
    }

    #[test]
    fn between_the_lines_of_ftp_anything_stands() {
        let mut loose = Gathering::loose();
        assert_eq!(loose.line(b"220-welcome\r\n"), Ok(None));
        assert_eq!(loose.line(b" 331 so what\r\n"), Ok(None));
        assert_eq!(loose.line(b"421 not the end\r\n"), Ok(None));
        assert_eq!(
            loose.line(b"220 go\r\n").expect("a reply").expect("a whole one").lines.len(),
            4
        );
        assert!(loose.line(b"welcome\r\n").is_err());
    }
}
