//! A kernel's release, by which rules and numbers change.
//!
//! Only releases whose source was read are rules here: 6.1.192, 6.12.117, 6.18.4. What lies between is not guessed.

use core::fmt;

/// A kernel's release, as far as rules change by it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Release {
    major: u32,
    minor: u32,
}

impl Release {
    /// States a release: 6.18 is `Release::new(6, 18)`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads what uname(2) gives: `6.18.44-generic`. `None` when it does not begin with two numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
        Some(Self { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
