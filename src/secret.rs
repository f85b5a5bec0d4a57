//! What is shown to nobody: passwords, and what two machines share.
//!
//! It can be compared and put on a wire, and neither printed nor logged: there is no `Display`, and
//! `Debug` does not show it. The directors' key has a type of its own ([`crate::vrrp::key`]).

use std::fmt;
use std::ops::Deref;

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

/// For whoever puts it on a wire.
impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_of_use_and_not_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(&*secret, "hunter2");
        assert!(Secret::default().is_empty() && secret == Secret::from("hunter2".to_owned()));
    }
}
