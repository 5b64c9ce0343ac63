//! The keys of `rank_pattern` and `alpha_pattern`: a module's name, or the end of one.
//!
//! For PEFT a key is a regular expression that has to match the whole name, or its end after a dot. What people and
//! PEFT itself write there are names, so names are understood, with what belongs to them in a regular expression: a dot
//! (any character), `\.` (a dot), `^` in front and `$` behind. Anything else is refused: a key that were read wrongly
//! would change the scale without a word.

use std::collections::BTreeMap;

use super::Unsupported;

/// Returns what the map says about a module.
pub(super) fn lookup<T: Copy + PartialEq>(
    patterns: &BTreeMap<String, T>,
    module: &str,
) -> Result<Option<T>, Unsupported> {
    let mut found = None;
    for (key, value) in patterns {
        if !matches(key, module)? {
            continue;
        }
        if found.is_some_and(|found| found != *value) {
            return Err(Unsupported::Ambiguous(module.to_owned()));
        }
        found = Some(*value);
    }
    Ok(found)
}

fn matches(key: &str, module: &str) -> Result<bool, Unsupported> {
    let unsupported = || Unsupported::Pattern(key.to_owned());
    let (anchored, rest) = key.strip_prefix('^').map_or((false, key), |rest| (true, rest));
    let rest = rest.strip_suffix('$').unwrap_or(rest);
    let mut wanted = Vec::with_capacity(rest.len());
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        wanted.push(match byte {
            b'.' => None,
            b'\\' if bytes.next() == Some(b'.') => Some(b'.'),
            byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' => Some(byte),
            _ => return Err(unsupported()),
        });
    }
    if wanted.is_empty() {
        return Err(unsupported());
    }
    let Some((front, end)) = module.len().checked_sub(wanted.len()).map(|at| module.as_bytes().split_at(at)) else {
        return Ok(false);
    };
    let is_start = front.is_empty() || (!anchored && front.ends_with(b"."));
    Ok(is_start && end.iter().zip(&wanted).all(|(byte, wanted)| wanted.is_none_or(|wanted| wanted == *byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "model.layers.1.mlp.down_proj";

    fn on(key: &str) -> Result<bool, Unsupported> {
        matches(key, MODULE)
    }

    #[test]
    fn a_key_is_the_end_of_a_name_after_a_dot() {
        for key in ["down_proj", "mlp.down_proj", "layers.1.mlp.down_proj", MODULE, r"mlp\.down_proj$", "mlp-down_proj"]
        {
            assert_eq!(on(key), Ok(key != "mlp-down_proj"), "{key}");
        }
        for key in ["proj", "own_proj", "layers.2.mlp.down_proj", "down", "a.model.layers.1.mlp.down_proj"] {
            assert_eq!(on(key), Ok(false), "{key}");
        }
        // A dot is any character, as in PEFT.
        assert_eq!(on("mlp.down.proj"), Ok(true));
        assert_eq!(on(r"mlp.down\.proj"), Ok(false));
    }

    #[test]
    fn an_anchored_key_is_the_whole_name() {
        assert_eq!(on("^model.layers.1.mlp.down_proj"), Ok(true));
        assert_eq!(on("^mlp.down_proj"), Ok(false));
    }

    #[test]
    fn regular_expressions_beyond_names_are_refused() {
        for key in ["", "^", "$", ".*proj", "(q|v)_proj", r"layers\.[0-9]", r"\d", "a$b", "x\\"] {
            assert_eq!(on(key), Err(Unsupported::Pattern(key.to_owned())), "{key}");
        }
    }

    #[test]
    fn two_keys_that_disagree_are_refused() {
        let patterns = |second| BTreeMap::from([("down_proj".to_owned(), 1), ("mlp.down_proj".to_owned(), second)]);
        assert_eq!(lookup(&patterns(1), MODULE), Ok(Some(1)));
        assert_eq!(lookup(&patterns(2), MODULE), Err(Unsupported::Ambiguous(MODULE.to_owned())));
        assert_eq!(lookup(&patterns(2), "model.layers.1.self_attn.q_proj"), Ok(None));
    }
}
