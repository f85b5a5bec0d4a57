//! Types that a text of a TOML file becomes, and what to say when it cannot.
//!
//! A refusal says what is wrong with this very text and what would be right, in half a sentence:
//! the place, the key and what the key wants are added by the reader.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::diagnostic::suggest;

/// A type that a value of a file is parsed into.
pub trait Value: Sized {
    /// What is wanted, for a message: "an IP address".
    const WHAT: &'static str;

    /// Whether a list variable is one, which renders as `[a, b]`.
    const LISTS: bool = false;

    /// The value, or what is wrong with the text and what would be right.
    fn parse(text: &str) -> Result<Self, String>;
}

impl Value for String {
    const WHAT: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// A text as it is rendered, a list variable as `[a, b]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered(pub String);

impl Value for Rendered {
    const WHAT: &'static str = "a text";
    const LISTS: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Rendered(text.to_owned()))
    }
}

impl Value for bool {
    const WHAT: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            "yes" | "on" | "1" => Err(format!("`{text}` is neither true nor false; write true")),
            "no" | "off" | "0" => Err(format!("`{text}` is neither true nor false; write false")),
            other => Err(format!("`{other}` is neither true nor false")),
        }
    }
}

macro_rules! whole_number {
    ($($number:ty: $what:literal),*) => {$(
        impl Value for $number {
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| not_a_number(text, <$number>::MAX.into()))
            }
        }
    )*};
}

whole_number!(
    u8: "a whole number from 0 to 255",
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number from 0"
);

fn not_a_number(text: &str, max: u64) -> String {
    match text.parse::<i128>() {
        Ok(number) if number < 0 => format!("`{text}` is below 0, the smallest allowed"),
        Ok(_) => format!("`{text}` is above {max}, the largest allowed"),
        Err(_) => format!("`{text}` is not a whole number"),
    }
}

impl Value for IpAddr {
    const WHAT: &'static str = "an IP address";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not_an_address(text))
    }
}

impl Value for Ipv4Addr {
    const WHAT: &'static str = "an IPv4 address";

    fn parse(text: &str) -> Result<Self, String> {
        match IpAddr::parse(text)? {
            IpAddr::V4(address) => Ok(address),
            IpAddr::V6(_) => Err(format!("`{text}` is an IPv6 address; an IPv4 one is wanted")),
        }
    }
}

/// Why `text` is not an address.
fn not_an_address(text: &str) -> String {
    if let Some((address, _)) = text.split_once('/')
        && address.parse::<IpAddr>().is_ok()
    {
        return format!("`{text}` has a prefix length; the bare address is `{address}`");
    }
    if let Some((address, _port)) = text.rsplit_once(':')
        && address.parse::<Ipv4Addr>().is_ok()
    {
        return format!("`{text}` has a port; the bare address is `{address}`");
    }
    format!("`{text}` is not an IP address{}", address_slip(text).unwrap_or_default())
}

/// What is wrong with a text that was meant as an IPv4 address.
fn address_slip(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() < 2 || !parts.iter().all(digits) {
        return None;
    }
    if parts.len() != 4 {
        return Some(format!(": it has {} numbers where four are needed", parts.len()));
    }
    let large = parts.iter().find(|part| part.parse::<u8>().is_err());
    let padded = parts.iter().find(|part| part.len() > 1 && part.starts_with('0'));
    let large = large.map(|part| format!(": {part} is above 255"));
    large.or_else(|| padded.map(|part| format!(": {part} has a leading zero")))
}

impl Value for IpNet {
    const WHAT: &'static str = "an IP address with prefix length, such as 192.0.2.1/24";

    fn parse(text: &str) -> Result<Self, String> {
        let Some((address, prefix)) = text.split_once('/') else {
            IpAddr::parse(text)?;
            return Err(format!("`{text}` has no prefix length, such as `{text}/24`"));
        };
        let address = IpAddr::parse(address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if let Ok(mask) = prefix.parse::<Ipv4Addr>()
            && let Ok(length) = ipnet::ipv4_mask_to_prefix(mask)
        {
            return Err(format!("`{prefix}` is a netmask; write `{address}/{length}`"));
        }
        let wrong =
            || format!("`/{prefix}` is not a prefix length; it is a number from 0 to {longest}");
        let length = prefix.parse().map_err(|_| wrong())?;
        IpNet::new(address, length).map_err(|_| wrong())
    }
}

impl Value for Duration {
    const WHAT: &'static str = "a length of time, such as \"500ms\", \"3s\" or \"1m\"";

    fn parse(text: &str) -> Result<Self, String> {
        let span = span(text)?;
        match span.subsec_nanos() % 1_000_000 {
            0 => Ok(span),
            _ => Err(format!("`{text}` is not a whole number of milliseconds")),
        }
    }
}

/// A length of time as people write it, in files and in commands: `250us`, `500ms`, `1.5s`, `1m`
/// or `1min`, `2h`, `2d`; or what is wrong with the text and what would be right. The most is what
/// a `u64` counts of milliseconds.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || {
        let hint = "write a number and a unit, such as `500ms`, `3s`, `1m`, `2h` or `2d`";
        format!("`{text}` is not a length of time; {hint}")
    };
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(wrong());
    }
    let nanos: u128 = match unit.trim_start() {
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "" => return Err(format!("`{text}` has no unit; write `{text}s` for seconds")),
        _ => return Err(wrong()),
    };
    // What is finer than a nanosecond of a day nobody means.
    let fraction = fraction.get(..FINEST).unwrap_or(fraction);
    let digits = u32::try_from(fraction.len()).map_err(|_| wrong())?;
    let part = fraction.parse::<u128>().map_err(|_| wrong())? * nanos / 10_u128.pow(digits);
    let long = || format!("`{text}` is longer than any clock can count");
    let sum = whole.parse::<u128>().ok().and_then(|whole| whole.checked_mul(nanos));
    let sum = sum.and_then(|sum| sum.checked_add(part)).ok_or_else(long)?;
    let seconds = u64::try_from(sum / 1_000_000_000).map_err(|_| long())?;
    let rest = u32::try_from(sum % 1_000_000_000).map_err(|_| long())?;
    let span = Duration::new(seconds, rest);
    if span.as_millis() > u64::MAX.into() { Err(long()) } else { Ok(span) }
}

/// Digits of a fraction that count.
const FINEST: usize = 18;

impl Value for PathBuf {
    const WHAT: &'static str = "an absolute path";

    fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("`{text}` is not absolute; it has to start with `/`"));
        }
        if text.contains('\0') {
            return Err("a path cannot hold a null byte".into());
        }
        if text.split('/').any(|part| part == "..") {
            return Err(format!("`{text}` climbs with `..`; write the path it ends at"));
        }
        Ok(PathBuf::from(text))
    }
}

/// The value that a word stands for in a table of words, or "unknown scheduler `wlcc`, did you
/// mean `wlc`?".
pub fn one_of<T: Copy>(what: &str, words: &[(&'static str, T)], text: &str) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    found.map(|(_, value)| *value).ok_or_else(|| unknown(what, text, &names))
}

/// "unknown scheduler `wlcc`, did you mean `wlc`?", else with all there are.
pub fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match (suggest(word, known.iter().copied()), known) {
        (Some(meant), _) => format!("unknown {what} `{word}`, did you mean `{meant}`?"),
        (None, []) => format!("unknown {what} `{word}`; there is none"),
        (None, known) => format!("unknown {what} `{word}`; there are {}", listed(known)),
    }
}

/// "`a`, `b` and `c`".
pub fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<T: Value>(text: &str) -> String {
        T::parse(text).err().unwrap_or_else(|| panic!("{text:?} was taken"))
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let cases = [
            (
                "192.168.1",
                "`192.168.1` is not an IP address: it has 3 numbers where four are needed",
            ),
            ("192.168.1.256", "`192.168.1.256` is not an IP address: 256 is above 255"),
            ("192.168.001.2", "`192.168.001.2` is not an IP address: 001 has a leading zero"),
            ("10.0.0.1/24", "`10.0.0.1/24` has a prefix length; the bare address is `10.0.0.1`"),
            ("10.0.0.1:80", "`10.0.0.1:80` has a port; the bare address is `10.0.0.1`"),
            ("web1", "`web1` is not an IP address"),
        ];
        for (text, said) in cases {
            assert_eq!(wrong::<IpAddr>(text), said);
        }
    }

    #[test]
    fn an_address_with_prefix_may_have_host_bits_and_needs_the_prefix() {
        assert_eq!(IpNet::parse("10.0.0.7/24").expect("fits").to_string(), "10.0.0.7/24");
        assert_eq!(IpNet::parse("fd00::7/64").expect("fits").to_string(), "fd00::7/64");
        let cases = [
            ("10.0.0.7", "`10.0.0.7` has no prefix length, such as `10.0.0.7/24`"),
            ("10.0.0.7/33", "`/33` is not a prefix length; it is a number from 0 to 32"),
            ("10.0.0.7/", "`/` is not a prefix length; it is a number from 0 to 32"),
            ("10.0.0.7/255.255.255.0", "`255.255.255.0` is a netmask; write `10.0.0.7/24`"),
        ];
        for (text, said) in cases {
            assert_eq!(wrong::<IpNet>(text), said);
        }
    }

    #[test]
    fn a_length_of_time_needs_its_unit() {
        let cases = [("500ms", 500), ("3s", 3_000), ("1m", 60_000), ("2h", 7_200_000)];
        for (text, millis) in cases {
            assert_eq!(Duration::parse(text), Ok(Duration::from_millis(millis)));
        }
        for (text, micros) in [("250us", 250), ("1.5s", 1_500_000), ("0.5 ms", 500), ("0s", 0)] {
            assert_eq!(span(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        assert_eq!(span("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(Duration::parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(wrong::<Duration>("1500us").contains("a whole number of milliseconds"));
        for text in ["", ".", "1.", ".5s", "1.2.3s", "1e9s", "3 weeks", "1 s s"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(wrong::<Duration>("3"), "`3` has no unit; write `3s` for seconds");
        assert!(wrong::<Duration>("soon").contains("such as `500ms`"));
        assert!(wrong::<Duration>("99999999999999999999s").contains("longer than any clock"));
        assert!(wrong::<Duration>("-3s").contains("is not a length of time"));
    }

    #[test]
    fn a_number_says_which_end_it_is_beyond() {
        assert_eq!(wrong::<u16>("65536"), "`65536` is above 65535, the largest allowed");
        assert_eq!(wrong::<u8>("-1"), "`-1` is below 0, the smallest allowed");
        assert_eq!(wrong::<u8>("web"), "`web` is not a whole number");
    }

    #[test]
    fn an_unknown_word_is_met_with_the_one_that_was_meant() {
        let words = [("rr", 1), ("wlc", 2), ("lc", 3)];
        assert_eq!(one_of("scheduler", &words, "wlc"), Ok(2));
        assert_eq!(
            one_of("scheduler", &words, "wlcc"),
            Err("unknown scheduler `wlcc`, did you mean `wlc`?".into())
        );
        assert_eq!(
            one_of("scheduler", &words, "maglev"),
            Err("unknown scheduler `maglev`; there are `rr`, `wlc` and `lc`".into())
        );
    }
}
