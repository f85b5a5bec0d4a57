//! When a certificate ends, who signed it, and what to say of both.
//!
//! Reads no more of the DER than it takes to come to the subject (RFC 5280 section 4.1): whether a
//! certificate is good is the verifier's to say, and one that nobody verifies ends all the same.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
/// The texts that hold ASCII or UTF-8: UTF8String, PrintableString, IA5String.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
/// id-at-commonName (RFC 5280 appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The longest name that is shown.
const LONGEST: usize = 64;

const DAY: i64 = 24 * 60 * 60;

/// What of a certificate is of use here.
struct Fields<'a> {
    issuer: &'a [u8],
    validity: &'a [u8],
    /// The subject and all that comes after it.
    rest: &'a [u8],
}

fn fields(certificate: &[u8]) -> Option<Fields<'_>> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields, VERSION)?.1;
    }
    // serialNumber and signature come before the issuer.
    for tag in [INTEGER, SEQUENCE] {
        fields = element(fields, tag)?.1;
    }
    let (issuer, fields) = element(fields, SEQUENCE)?;
    let (validity, rest) = element(fields, SEQUENCE)?;
    Some(Fields { issuer, validity, rest })
}

/// When a certificate ends, in seconds since 1970. `None`: it is none.
pub(super) fn end(certificate: &[u8]) -> Option<i64> {
    let (_, not_after) = time(fields(certificate)?.validity)?;
    time(not_after).map(|(end, _)| end)
}

/// Who signed a certificate, by the common name; `None` where none is given.
pub(super) fn issuer(certificate: &[u8]) -> Option<String> {
    let mut names = fields(certificate)?.issuer;
    while let Some((set, rest)) = element(names, SET) {
        names = rest;
        let Some((name, _)) = element(set, SEQUENCE) else { continue };
        let Some((COMMON_NAME, text)) = element(name, OBJECT) else { continue };
        let text = TEXTS.iter().find_map(|tag| element(text, *tag))?.0;
        let text = String::from_utf8_lossy(text);
        return Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect());
    }
    None
}

/// Whether a certificate is signed with its own key.
pub(super) fn is_signed_by_itself(certificate: &[u8]) -> bool {
    let named_alike = fields(certificate).is_some_and(|fields| {
        element(fields.rest, SEQUENCE).is_some_and(|(subject, _)| subject == fields.issuer)
    });
    // Who has the same name may have another key: the signature tells.
    named_alike && verifies(certificate).is_some_and(|fits| fits)
}

/// Whether a certificate is good for one who trusts it. `None`: it cannot be told.
fn verifies(certificate: &[u8]) -> Option<bool> {
    let shown = CertificateDer::from(certificate);
    let mut roots = RootCertStore::empty();
    roots.add(shown.clone().into_owned()).ok()?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let name = ServerName::try_from("self.invalid").ok()?;
    let result =
        verifier.build().ok()?.verify_server_cert(&shown, &[], &name, &[], UnixTime::now());
    // What else is wrong with it does not matter. For one that has ended, or may sign others, the
    // library does not come to the signature, and the names have to do.
    Some(match result {
        Ok(_) => true,
        Err(rustls::Error::InvalidCertificate(error)) => {
            !matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature)
        }
        Err(_) => false,
    })
}

/// What somebody should know of a certificate that ends then.
pub(super) fn note(end: i64, now: i64, warn_before: Duration) -> Option<String> {
    let left = end.saturating_sub(now);
    if u64::try_from(left).is_ok_and(|left| left >= warn_before.as_secs()) {
        return None;
    }
    let date = date(end);
    Some(match left / DAY {
        _ if left < 0 => ended(end),
        0 => format!("its certificate ends within a day ({date})"),
        1 => format!("its certificate ends in 1 day ({date})"),
        days => format!("its certificate ends in {days} days ({date})"),
    })
}

/// What is wrong with a certificate that ended then.
pub(super) fn ended(end: i64) -> String {
    format!("its certificate ended on {}", date(end))
}

/// What is wrong with a certificate that begins then.
pub(super) fn begins(start: i64) -> String {
    let minutes = start.rem_euclid(DAY) / 60;
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("its certificate is not valid before {} {hour:02}:{minute:02} UTC", date(start))
}

/// The day of a moment, in UTC: 2026-11-20.
fn date(seconds: i64) -> String {
    // The calendar repeats itself every 400 years; days are counted from 1 March of the year 0, so
    // that a leap day is the last of its year.
    let days = seconds.div_euclid(DAY) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + after)
}

/// Seconds since 1970 of a day at midnight. The inverse of [`date`].
fn midnight(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + day - 1;
    let day = 365 * year + year / 4 - year / 100 + day;
    (era * 146_097 + day - 719_468) * DAY
}

/// The time at the start of these bytes, and what comes after it.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest, year) = match *bytes.first()? {
        UTC_TIME => {
            let (text, rest) = element(bytes, UTC_TIME)?;
            let (year, digits) = two(text)?;
            // RFC 5280 section 4.1.2.5.1: 50 and above is of the last century.
            (digits, rest, if year >= 50 { 1900 + year } else { 2000 + year })
        }
        GENERALIZED_TIME => {
            let (text, rest) = element(bytes, GENERALIZED_TIME)?;
            let (century, digits) = two(text)?;
            let (year, digits) = two(digits)?;
            (digits, rest, century * 100 + year)
        }
        _ => return None,
    };
    let (month, digits) = two(digits)?;
    let (day, digits) = two(digits)?;
    let (hour, digits) = two(digits)?;
    let (minute, digits) = two(digits)?;
    let (second, zone) = two(digits)?;
    let is_right = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (hour < 24 && minute < 60 && second < 61)
        && zone == b"Z";
    let seconds = midnight(year, month, day) + (hour * 60 + minute) * 60 + second;
    is_right.then_some((seconds, rest))
}

/// Two digits, and what comes after them.
fn two(text: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some((digit(digits[0])? * 10 + digit(digits[1])?, rest))
}

/// The content of an element of this tag, and what comes after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, bytes) = bytes.split_first()?;
    let (&length, bytes) = bytes.split_first()?;
    if found != tag {
        return None;
    }
    let (length, bytes) = match length {
        0..=0x7f => (usize::from(length), bytes),
        0x81..=0x84 => {
            let (digits, bytes) = bytes.split_at_checked(usize::from(length - 0x80))?;
            let length = digits.iter().fold(0u64, |sum, digit| sum << 8 | u64::from(*digit));
            (usize::try_from(length).ok()?, bytes)
        }
        _ => return None,
    };
    bytes.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::date_time_ymd;
    use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["a".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(1990, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_of_its_forms() {
        let days = [(2026, 11, 20), (2049, 12, 31), (2050, 1, 1), (2400, 2, 29), (1999, 3, 1)];
        for (year, month, day) in days {
            let end = end(&certificate(year, month, day)).expect("an end");
            assert_eq!(date(end), format!("{year:04}-{month:02}-{day:02}"));
            assert_eq!(end, midnight(year.into(), month.into(), day.into()));
        }
        assert_eq!(end(&certificate(1970, 1, 2)), Some(DAY));
    }

    #[test]
    fn who_signed_it_is_told_and_whether_that_was_itself() {
        let name = |name: &str| {
            let mut params = CertificateParams::new(["a".to_owned()]).expect("a name");
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Org");
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let key = || KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(name("Shop\u{1b} CA"), key()).expect("one");
        let signed = |params: CertificateParams| {
            params.signed_by(&key(), &authority).expect("a certificate").der().to_vec()
        };
        assert_eq!(issuer(&signed(name("web"))).as_deref(), Some("Shop CA"));
        assert!(!is_signed_by_itself(&signed(name("web"))));
        assert!(!is_signed_by_itself(&signed(name("Shop\u{1b} CA"))), "the name alone is the same");
        assert!(is_signed_by_itself(&certificate(2030, 1, 1)));
        assert!(is_signed_by_itself(&certificate(1999, 1, 1)), "whether it has ended or not");
        assert_eq!(issuer(b"junk"), None);
    }

    #[test]
    fn a_certificate_cut_anywhere_before_its_end_has_none() {
        let whole = certificate(2030, 1, 1);
        assert!((0..whole.len()).all(|length| end(&whole[..length]).is_none()));
    }

    #[test]
    fn what_is_said_depends_on_the_days_that_are_left() {
        let (now, week) = (midnight(2026, 11, 20), Duration::from_secs(7 * 86_400));
        let said = |days: i64| note(now + days * DAY, now, week);
        assert_eq!(said(7), None);
        let says = |days, text: &str| assert_eq!(said(days).as_deref(), Some(text));
        says(6, "its certificate ends in 6 days (2026-11-26)");
        says(1, "its certificate ends in 1 day (2026-11-21)");
        says(0, "its certificate ends within a day (2026-11-20)");
        says(-1, "its certificate ended on 2026-11-19");
        assert_eq!(note(now, now, Duration::ZERO), None);
        let begins = begins(now + 3 * 3600 + 5 * 60);
        assert_eq!(begins, "its certificate is not valid before 2026-11-20 03:05 UTC");
    }

    proptest! {
        #[test]
        fn a_day_is_the_same_after_it_was_written_and_read(days in -200_000i64..4_000_000) {
            let text = date(days * DAY);
            let parts = text.splitn(3, '-').filter_map(|part| part.parse().ok());
            let parts: Vec<i64> = parts.collect();
            if let [year, month, day] = parts[..] {
                prop_assert_eq!(midnight(year, month, day), days * DAY);
            }
        }

        #[test]
        fn junk_is_no_certificate_and_does_no_harm(
            junk in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            end(&junk);
            issuer(&junk);
            let mut bent = certificate_once();
            let at = at.index(bent.len());
            bent[at] = byte;
            end(&bent);
            issuer(&bent);
            is_signed_by_itself(&bent);
        }
    }

    fn certificate_once() -> Vec<u8> {
        static ONCE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        ONCE.get_or_init(|| certificate(2030, 1, 1)).clone()
    }
}
