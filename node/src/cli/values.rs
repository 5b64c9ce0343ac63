//! Values on the command line.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use chorus_crypto::sign::PublicKey;
use chorus_protocol::{
    adapter::manifest::{Centre, Ratio},
    config::{Attribute, Name},
};

use super::Failure;
use crate::{api::view::Category, model::lora::Projection, network::check_address};

/// The most bytes read from a file that the user names.
const MAX_INPUT_BYTES: u64 = 16 * 1024 * 1024;

/// Reads on what ground an item is rejected.
pub(super) fn ground(text: &str) -> Result<Category, String> {
    let named = |ground: &Category| ground.name().replace('_', "-") == text;
    Category::ALL.into_iter().find(named).ok_or_else(|| {
        let names = Category::ALL.map(|ground| ground.name().replace('_', "-"));
        format!("the grounds are {}", names.join(", "))
    })
}

/// Reads a duration: a number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let millis: u64 = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{unit:?} is no unit: use ms, s, m, h or d, as in 10m")),
    };
    let number: u64 = digits.trim().parse().map_err(|_| "a duration is a number and a unit, as in 10m".to_owned())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "that is too long".to_owned())
}

/// Reads an address that a call can go to, or that can be listened at.
pub(super) fn address(text: &str) -> Result<String, String> {
    check_address(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Reads a poll's id or the beginning of it; `-` is the only poll.
pub(super) fn poll(text: &str) -> Result<String, String> {
    let reference = text.to_ascii_lowercase();
    let is_hex = (1..=64).contains(&reference.len()) && reference.bytes().all(|digit| digit.is_ascii_hexdigit());
    if reference == "-" || is_hex {
        Ok(reference)
    } else {
        Err("a poll is named by its id or the beginning of it (see `chorus poll list`), or by - if there is one alone"
            .into())
    }
}

/// Reads a series' name, its id or the beginning of it; `-` is the only series.
pub(super) fn series(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(
            "a series is named by its name or the beginning of its id (see `chorus adapter list`), or by - if there \
                    is one alone"
                .into(),
        );
    }
    Ok(text.replace(' ', "%20"))
}

/// Reads a positive number as a fraction: `3/2`, `1.5` or `2`.
pub(super) fn ratio(text: &str) -> Result<Ratio, String> {
    let refused = || "a positive number such as 1, 1.5 or 3/2".to_owned();
    let parts = match text.split_once(['/', '.']) {
        None => (text.parse().ok(), Some(1)),
        Some((above, below)) if text.contains('/') => (above.parse().ok(), below.parse().ok()),
        Some((whole, decimals)) => {
            let digits = u32::try_from(decimals.len()).ok().filter(|digits| (1..=3).contains(digits));
            let denominator = digits.map(|digits| 10u16.pow(digits));
            (format!("{whole}{decimals}").parse().ok(), denominator)
        }
    };
    match parts {
        (Some(numerator), Some(denominator)) if numerator > 0 && denominator > 0 => {
            Ok(Ratio { numerator, denominator })
        }
        _ => Err(refused()),
    }
}

/// Reads what is taken of cohorts: `mean`, `median` or `trimmed:T`.
pub(super) fn centre(text: &str) -> Result<Centre, String> {
    match (text, text.strip_prefix("trimmed:").map(str::parse)) {
        ("mean", _) => Ok(Centre::Mean),
        ("median", _) => Ok(Centre::Median),
        (_, Some(Ok(trimmed))) => Ok(Centre::TrimmedMean(trimmed)),
        _ => Err("mean, median, or trimmed:T to leave out the T lowest and the T highest cohorts".into()),
    }
}

/// Reads a linear layer's name as PEFT's `target_modules` has it.
pub(super) fn projection(text: &str) -> Result<Projection, String> {
    let names = Projection::ALL.map(Projection::name);
    let found = Projection::ALL.into_iter().find(|projection| projection.name() == text);
    found.ok_or_else(|| format!("one of {}", names.join(", ")))
}

/// A public key on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// The key of this data directory.
    Me,
    /// Somebody's key.
    Of(PublicKey),
}

/// Reads a key: 64 hexadecimal digits, or `me`.
pub(super) fn key(text: &str) -> Result<Key, String> {
    if text == "me" {
        return Ok(Key::Me);
    }
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let key = bytes.and_then(|bytes| <[u8; PublicKey::LEN]>::try_from(bytes).ok());
    key.map(|key| Key::Of(key.into()))
        .ok_or_else(|| "a key is 64 hexadecimal digits, as `chorus init` prints it, or me for your own".into())
}

/// Reads `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("this is NAME=VALUE, as in region=north")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err("neither the name nor the value may be empty".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `CLASS=NUMBER`.
pub(super) fn weight(text: &str) -> Result<(String, u32), String> {
    let (class, weight) = pair(text)?;
    let weight = weight.parse().map_err(|_| "a weight is a whole number, as in north=2".to_owned())?;
    Ok((class, weight))
}

/// An attester on the command line, and whom it belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NamedKey {
    pub(super) key: Key,
    pub(super) organisation: Option<String>,
}

/// Reads `KEY` or `KEY=ORGANISATION`.
pub(super) fn attester(text: &str) -> Result<NamedKey, String> {
    match text.split_once('=') {
        None => Ok(NamedKey { key: key(text)?, organisation: None }),
        Some((of, organisation)) if !organisation.trim().is_empty() => {
            Ok(NamedKey { key: key(of)?, organisation: Some(organisation.trim().to_owned()) })
        }
        Some(_) => Err("the organisation is empty".into()),
    }
}

/// Reads an attribute with its values: `region=north,south`.
pub(super) fn attribute(text: &str) -> Result<Attribute, String> {
    let (name, values) = pair(text).map_err(|_| "an attribute is NAME=VALUE,VALUE,…, as in region=north,south")?;
    let values = values.split(',').map(|value| Name { text: value.trim().to_owned() }).collect();
    Ok(Attribute { name, values })
}

/// Reads a proper fraction: `7/10`.
pub(super) fn fraction(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(part, whole)| Some((part.parse().ok()?, whole.parse().ok()?)));
    parts
        .filter(|(part, whole)| 0 < *part && part < whole)
        .ok_or_else(|| "a fraction between 0 and 1, as in 7/10".into())
}

/// Returns a text, or what standard input says if the text is `-`.
pub(super) fn text_or_stdin(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    let refused = |source| Failure::File { path: "standard input".into(), source };
    io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut read).map_err(refused)?;
    if read.trim().is_empty() {
        return Err(Failure::Usage("standard input is empty: the command before the | has printed nothing".into()));
    }
    Ok(read)
}

/// Reads a file that the user names.
pub(super) fn read_file(path: &Path) -> Result<String, Failure> {
    let refused = |source| Failure::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(refused)?;
    let read = file.take(MAX_INPUT_BYTES + 1).read_to_string(&mut text).map_err(refused)?;
    if read as u64 > MAX_INPUT_BYTES {
        return Err(refused(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

/// Reads a file with one item on each line; blank lines and lines that begin with # do not count.
pub(super) fn read_lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = read_file(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
