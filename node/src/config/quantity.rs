//! Amounts of data as people write them: `64GiB`, `500MB`, `250kB/s`, `20Mbit/s`, `unlimited`.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The units, the largest first of each kind; a value is written in the first that divides it.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of a rate in bits per second.
const BIT_UNITS: [(&str, u64); 4] = [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

/// How the absence of a bound is written.
const UNLIMITED: &str = "unlimited";

/// Why a text is no amount.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no amount")]
pub struct QuantityError(String);

/// A bound on bytes, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(u64);

/// A bound on bytes in a second, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u64);

impl Bytes {
    /// No bound.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// Returns a bound.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns the bound; none if there is none.
    pub const fn limit(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }
}

impl Rate {
    /// No bound.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// Returns a bound in bytes per second.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns the bound in bytes per second; none if there is none.
    pub const fn limit(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }
}

/// Parses a number, perhaps with a fraction, times `unit`. Thousandths are exact.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || fraction.len() > 3 || (number.contains('.') && !digits(fraction)) {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    let fraction = u128::from(thousandths) * u128::from(unit) / 1_000;
    let total = whole.parse::<u128>().ok()? * u128::from(unit) + fraction;
    u64::try_from(total).ok().filter(|total| *total != u64::MAX)
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let unit = if unit.is_empty() { "B" } else { unit };
    let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    scaled(number, known.1)
}

fn write_bytes(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let bytes = if text == UNLIMITED { Some(u64::MAX) } else { parse_bytes(text) };
        bytes.map(Self).ok_or_else(|| QuantityError(text.to_owned()))
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let (number, unit) = split(text);
        let rate = if text == UNLIMITED {
            Some(u64::MAX)
        } else if let Some((_, bits)) = BIT_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            scaled(number, *bits).map(|bits| bits / 8)
        } else {
            text.strip_suffix("/s").and_then(parse_bytes)
        };
        // Nothing at all is no rate: the node would only seem to run.
        rate.filter(|rate| *rate > 0).map(Self).ok_or_else(|| QuantityError(text.to_owned()))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.limit().map_or_else(|| UNLIMITED.to_owned(), write_bytes))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.limit().map_or_else(|| UNLIMITED.to_owned(), |rate| format!("{}/s", write_bytes(rate))))
    }
}

impl TryFrom<String> for Bytes {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl TryFrom<String> for Rate {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let bytes = |text: &str| text.parse::<Bytes>().map(|bytes| bytes.0);
        assert_eq!(bytes("64GiB"), Ok(64 << 30));
        assert_eq!(bytes("1.5 GB"), Ok(1_500_000_000));
        assert_eq!(bytes("0.125kB"), Ok(125));
        assert_eq!(bytes("17"), Ok(17));
        let rate = |text: &str| text.parse::<Rate>().map(|rate| rate.0);
        assert_eq!(rate("20Mbit/s"), Ok(2_500_000));
        assert_eq!(rate("250 kB/s"), Ok(250_000));
        assert_eq!("unlimited".parse::<Rate>().map(Rate::limit), Ok(None));

        for wrong in
            ["", "GiB", "-1", "1.2345kB", "1.", ".5kB", "1e9", "20000000TiB", "5 parsecs", "99999999999999999999"]
        {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["", "1", "1MB", "0B/s", "1bit/s", "7/s/s"] {
            assert!(rate(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for amount in [0, 1, 999, 1_000, 1_024, 1_500_000, 5_000_000_000, 64 << 30, (1 << 40) + 1, u64::MAX] {
            assert_eq!(Bytes(amount).to_string().parse(), Ok(Bytes(amount)), "{}", Bytes(amount));
            if amount > 0 {
                assert_eq!(Rate(amount).to_string().parse(), Ok(Rate(amount)), "{}", Rate(amount));
            }
        }
    }
}
