//! The messages between the lab and the agent in a machine, and their form on a byte stream.
//!
//! The stream is a serial line, on which a booting kernel or a dying program may write anything.
//! So each frame starts with a mark that no text contains and says its length, and the decoder
//! skips whatever does not fit until the next mark. Several commands share the line by their ids.
//! The same frames carry a command's streams between a client and the lab's daemon. Pure.

use serde::{Deserialize, Serialize};

/// Starts every frame; 0xC0 and 0xFE do not occur in UTF-8 in this order.
const MARK: [u8; 4] = [0xC0, 0xFE, 0x1A, 0xB5];
/// Mark, kind, id, length.
const HEADER: usize = 4 + 1 + 4 + 4;
/// The most payload in one frame: short enough that commands share the line fairly.
pub const MAX_PAYLOAD: usize = 32 * 1024;

/// One message; `id` names the command it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// To the machine: run this.
    Start(u32, Start),
    /// To the machine: input for the command.
    Stdin(u32, Vec<u8>),
    /// To the machine: the input ends here.
    CloseStdin(u32),
    /// To the machine: send this signal to the command's process group.
    Signal(u32, i32),
    /// To the machine: the terminal has this size now.
    Resize(u32, Size),
    /// From the machine: output.
    Stdout(u32, Vec<u8>),
    /// From the machine: error output.
    Stderr(u32, Vec<u8>),
    /// From the machine: the command has ended; 128 + n if signal n ended it.
    Exit(u32, i32),
    /// From the machine: the agent has started, earlier commands are gone.
    Hello,
    /// From the machine: the boot is complete.
    Ready,
    /// From the machine: so many more bytes of the line have been read.
    Received(u32),
}

/// A command for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// A line for bash; empty for an interactive shell.
    pub line: String,
    /// On a terminal of this size.
    pub terminal: Option<Size>,
    /// Killed after this long; never if zero.
    pub timeout_ms: u64,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Message {
    /// The bytes of this message. A payload beyond [`MAX_PAYLOAD`] is the caller's error.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, id, payload) = match self {
            Message::Start(id, start) => (1, *id, start_payload(start)),
            Message::Stdin(id, bytes) => (2, *id, bytes.clone()),
            Message::CloseStdin(id) => (3, *id, Vec::new()),
            Message::Signal(id, number) => (4, *id, number.to_le_bytes().to_vec()),
            Message::Resize(id, size) => (5, *id, size_payload(*size)),
            Message::Stdout(id, bytes) => (6, *id, bytes.clone()),
            Message::Stderr(id, bytes) => (7, *id, bytes.clone()),
            Message::Exit(id, status) => (8, *id, status.to_le_bytes().to_vec()),
            Message::Hello => (9, 0, Vec::new()),
            Message::Ready => (10, 0, Vec::new()),
            Message::Received(count) => (11, *count, Vec::new()),
        };
        assert!(payload.len() <= MAX_PAYLOAD, "the sender cuts its input into frames");
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend(MARK);
        bytes.push(kind);
        bytes.extend(id.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    /// The command that this message belongs to, if it belongs to one.
    pub fn id(&self) -> Option<u32> {
        match self {
            Message::Start(id, _)
            | Message::Stdin(id, _)
            | Message::CloseStdin(id)
            | Message::Signal(id, _)
            | Message::Resize(id, _)
            | Message::Stdout(id, _)
            | Message::Stderr(id, _)
            | Message::Exit(id, _) => Some(*id),
            Message::Hello | Message::Ready | Message::Received(_) => None,
        }
    }

    /// The same message for another command.
    pub fn with_id(self, id: u32) -> Message {
        match self {
            Message::Start(_, start) => Message::Start(id, start),
            Message::Stdin(_, bytes) => Message::Stdin(id, bytes),
            Message::CloseStdin(_) => Message::CloseStdin(id),
            Message::Signal(_, number) => Message::Signal(id, number),
            Message::Resize(_, size) => Message::Resize(id, size),
            Message::Stdout(_, bytes) => Message::Stdout(id, bytes),
            Message::Stderr(_, bytes) => Message::Stderr(id, bytes),
            Message::Exit(_, status) => Message::Exit(id, status),
            Message::Hello => Message::Hello,
            Message::Ready => Message::Ready,
            Message::Received(count) => Message::Received(count),
        }
    }

    fn decode(kind: u8, id: u32, payload: &[u8]) -> Option<Message> {
        let number = || Some(i32::from_le_bytes(payload.try_into().ok()?));
        Some(match kind {
            1 => Message::Start(id, serde_json::from_slice(payload).ok()?),
            2 => Message::Stdin(id, payload.to_vec()),
            3 => Message::CloseStdin(id),
            4 => Message::Signal(id, number()?),
            5 => Message::Resize(id, decode_size(payload)?),
            6 => Message::Stdout(id, payload.to_vec()),
            7 => Message::Stderr(id, payload.to_vec()),
            8 => Message::Exit(id, number()?),
            9 => Message::Hello,
            10 => Message::Ready,
            11 => Message::Received(id),
            _ => return None,
        })
    }
}

/// Finds the messages in a stream of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Takes what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message. Holds at most one frame of unread bytes once it says `None`.
    pub fn next_message(&mut self) -> Option<Message> {
        loop {
            self.skip_to_mark();
            let (kind, id, length) = self.header()?;
            if length > MAX_PAYLOAD {
                self.bytes.drain(..1);
                continue;
            }
            let payload = self.bytes.get(HEADER..HEADER + length)?;
            let Some(message) = Message::decode(kind, id, payload) else {
                self.bytes.drain(..1);
                continue;
            };
            self.bytes.drain(..HEADER + length);
            return Some(message);
        }
    }

    fn skip_to_mark(&mut self) {
        let here = |at: &usize| {
            let rest = &self.bytes[*at..];
            rest.iter().zip(MARK).all(|(byte, mark)| *byte == mark)
        };
        let start = (0..self.bytes.len()).find(here).unwrap_or(self.bytes.len());
        self.bytes.drain(..start);
    }

    fn header(&self) -> Option<(u8, u32, usize)> {
        let header = self.bytes.get(..HEADER)?;
        let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
        Some((header[4], word(5)?, usize::try_from(word(9)?).ok()?))
    }
}

fn start_payload(start: &Start) -> Vec<u8> {
    serde_json::to_vec(start).expect("a struct of text and numbers has a JSON form")
}

fn size_payload(size: Size) -> Vec<u8> {
    [size.rows.to_le_bytes(), size.columns.to_le_bytes()].concat()
}

fn decode_size(payload: &[u8]) -> Option<Size> {
    let [a, b, c, d] = payload.try_into().ok()?;
    Some(Size { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_message() -> impl Strategy<Value = Message> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        let size = || any::<(u16, u16)>().prop_map(|(rows, columns)| Size { rows, columns });
        let start = (".*", prop::option::of(size()), any::<u64>())
            .prop_map(|(line, terminal, timeout_ms)| Start { line, terminal, timeout_ms });
        prop_oneof![
            (any::<u32>(), start).prop_map(|(id, start)| Message::Start(id, start)),
            (any::<u32>(), bytes()).prop_map(|(id, bytes)| Message::Stdin(id, bytes)),
            any::<u32>().prop_map(Message::CloseStdin),
            any::<(u32, i32)>().prop_map(|(id, number)| Message::Signal(id, number)),
            (any::<u32>(), size()).prop_map(|(id, size)| Message::Resize(id, size)),
            (any::<u32>(), bytes()).prop_map(|(id, bytes)| Message::Stdout(id, bytes)),
            (any::<u32>(), bytes()).prop_map(|(id, bytes)| Message::Stderr(id, bytes)),
            any::<(u32, i32)>().prop_map(|(id, status)| Message::Exit(id, status)),
            Just(Message::Hello),
            Just(Message::Ready),
            any::<u32>().prop_map(Message::Received),
        ]
    }

    fn decode_all(decoder: &mut Decoder) -> Vec<Message> {
        std::iter::from_fn(|| decoder.next_message()).collect()
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            messages in prop::collection::vec(any_message(), 0..8),
            cut in 1usize..40,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(Message::encode).collect();
            let mut decoder = Decoder::default();
            let mut decoded = Vec::new();
            for part in bytes.chunks(cut) {
                decoder.push(part);
                decoded.extend(decode_all(&mut decoder));
            }
            prop_assert_eq!(decoded, messages);
        }

        #[test]
        fn text_between_frames_is_skipped(
            messages in prop::collection::vec(any_message(), 1..5),
            text in "[ -~\r\n]{0,80}",
        ) {
            let mut decoder = Decoder::default();
            for message in &messages {
                decoder.push(text.as_bytes());
                decoder.push(&message.encode());
            }
            prop_assert_eq!(decode_all(&mut decoder), messages);
        }

        #[test]
        fn arbitrary_bytes_neither_panic_nor_pile_up(
            bytes in prop::collection::vec(any::<u8>(), 0..4096),
        ) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            decode_all(&mut decoder);
            prop_assert!(decoder.bytes.len() <= HEADER + MAX_PAYLOAD);
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_does_not_swallow_the_next() {
        let mut decoder = Decoder::default();
        decoder.push(&[0xC0, 0xFE, 0x1A, 0xB5, 6, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        decoder.push(&Message::Ready.encode());
        assert_eq!(decode_all(&mut decoder), [Message::Ready]);
    }
}
