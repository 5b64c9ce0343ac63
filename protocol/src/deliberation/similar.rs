//! Which statements say nearly the same, told from their letters alone.
//!
//! A text is *folded* first: compatibility forms, case, accents, punctuation and spaces make no difference. Two texts
//! with one fold are the same. Otherwise the score is the larger of two shares: the words that both have (so that order
//! makes no difference), and the groups of three letters that both have (so that an ending or a slip makes little).
//! Nothing here understands a text: "should lie" and "should not lie" are near one another, and a person who is warned
//! decides. So a score warns, and refuses nothing.

use std::collections::BTreeMap;

use crate::id::BlobId;

/// A score from which on a person is warned.
pub const NEAR: f64 = 0.72;

/// How many similar items are told at the most.
pub const MOST: usize = 5;

/// A text without what makes no difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Folded(Vec<String>);

/// An item that is similar to a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    /// The item.
    pub item: BlobId,
    /// 1 for one that is the same but for case, accents, punctuation and spaces.
    pub score: f64,
}

impl Folded {
    /// Folds a text into its words.
    pub fn new(text: &str) -> Self {
        let (mut words, mut word) = (Vec::new(), String::new());
        for character in text.chars().flat_map(plain) {
            if is_ignored(character) {
                continue;
            }
            if character.is_alphanumeric() {
                word.extend(character.to_lowercase().flat_map(unaccented));
            } else if !word.is_empty() {
                words.push(core::mem::take(&mut word));
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
        Self(words)
    }

    /// Returns how similar two texts are, from 0 to 1. Texts without any word are similar to nothing.
    pub fn score(&self, other: &Self) -> f64 {
        if self.0.is_empty() || other.0.is_empty() {
            return 0.0;
        }
        if self == other {
            return 1.0;
        }
        let words = shared(&self.counted_words(), &other.counted_words());
        // What is not the same to the letter has no score of 1, whatever its order.
        words.max(shared(&self.trigrams(), &other.trigrams())).min(0.99)
    }

    fn counted_words(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        self.0.iter().for_each(|word| *counts.entry(word.clone()).or_default() += 1);
        counts
    }

    fn trigrams(&self) -> BTreeMap<[char; 3], u32> {
        let letters: Vec<char> = format!("  {}  ", self.0.join(" ")).chars().collect();
        let mut counts = BTreeMap::new();
        for three in letters.windows(3) {
            if let [a, b, c] = three {
                *counts.entry([*a, *b, *c]).or_default() += 1;
            }
        }
        counts
    }
}

/// Returns the items that say nearly the same as a text, the nearest first.
pub fn similar<'a>(text: &str, items: impl IntoIterator<Item = (BlobId, &'a str)>) -> Vec<Similar> {
    let folded = Folded::new(text);
    let scored = items.into_iter().map(|(item, other)| Similar { item, score: folded.score(&Folded::new(other)) });
    let mut near: Vec<Similar> = scored.filter(|similar| similar.score >= NEAR).collect();
    near.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    near.truncate(MOST);
    near
}

/// Dice's coefficient of two multisets.
fn shared<K: Ord>(one: &BTreeMap<K, u32>, other: &BTreeMap<K, u32>) -> f64 {
    let all: u32 = one.values().chain(other.values()).sum();
    let both: u32 = one.iter().filter_map(|(key, count)| Some((*count).min(*other.get(key)?))).sum();
    if all == 0 { 0.0 } else { 2.0 * f64::from(both) / f64::from(all) }
}

/// The compatibility forms that keyboards and copied texts have: full width, ligatures, sharp s.
fn plain(character: char) -> impl Iterator<Item = char> {
    let wide = |offset: u32| char::from_u32(u32::from(character) - offset).unwrap_or(character);
    let (first, rest) = match character {
        '\u{ff01}'..='\u{ff5e}' => (wide(0xfee0), ""),
        'ﬀ' => ('f', "f"),
        'ﬁ' => ('f', "i"),
        'ﬂ' => ('f', "l"),
        'ﬃ' => ('f', "fi"),
        'ﬄ' => ('f', "fl"),
        'ß' | 'ẞ' => ('s', "s"),
        'æ' | 'Æ' => ('a', "e"),
        'œ' | 'Œ' => ('o', "e"),
        other => (other, ""),
    };
    core::iter::once(first).chain(rest.chars())
}

/// What is inside words and makes no difference: apostrophes, marks above and below letters, what nobody sees.
const fn is_ignored(character: char) -> bool {
    matches!(
        character,
        '\'' | '\u{2019}' | '\u{2bc}' | '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

/// Letters with a mark, by the letter without.
const ACCENTED: [(char, &str); 20] = [
    ('a', "àáâãäåāăąǎ"),
    ('c', "çćĉċč"),
    ('d', "ďđ"),
    ('e', "èéêëēĕėęě"),
    ('g', "ĝğġģ"),
    ('h', "ĥħ"),
    ('i', "ìíîïĩīĭįı"),
    ('j', "ĵ"),
    ('k', "ķ"),
    ('l', "ĺļľŀł"),
    ('n', "ñńņňŉ"),
    ('o', "òóôõöøōŏőǒ"),
    ('r', "ŕŗř"),
    ('s', "śŝşšș"),
    ('t', "ţťŧț"),
    ('u', "ùúûüũūŭůűųǔ"),
    ('w', "ŵ"),
    ('y', "ýÿŷ"),
    ('z', "źżž"),
    ('и', "й"),
];

fn unaccented(character: char) -> Option<char> {
    // Lower case of a capital with a dot above has the dot as a mark of its own.
    if is_ignored(character) {
        return None;
    }
    if character.is_ascii() {
        return Some(character);
    }
    Some(ACCENTED.iter().find(|(_, marked)| marked.contains(character)).map_or(character, |(plain, _)| *plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(one: &str, other: &str) -> f64 {
        Folded::new(one).score(&Folded::new(other))
    }

    fn is_same(one: &str, other: &str) -> bool {
        score(one, other) >= 1.0
    }

    #[test]
    fn case_accents_punctuation_and_spaces_make_no_difference() {
        let text = "The assistant shouldn’t favour a café — ever.";
        for other in [
            "the ASSISTANT shouldn't favour a cafe, ever",
            "  The  assistant\tshouldn't favour a cafe\u{301}: ever!!",
            "Ｔｈｅ assistant should\u{200b}n't favour a café ever",
        ] {
            assert!(is_same(text, other), "{other}");
        }
        assert!(is_same("Straße ﬁnden", "STRASSE finden"));
        assert!(!is_same("The assistant should favour a café, ever.", text));
        assert!(!is_same("Rule 1", "Rule 2"));
    }

    #[test]
    fn nearly_the_same_warns_and_another_matter_does_not() {
        let text = "The assistant should always tell people when it is not sure.";
        for near in [
            "The assistant should tell people when it is not sure.",
            "When it is not sure the assistant should always tell people",
            "The assistent should alway tell people when its not sure",
        ] {
            assert!(score(text, near) >= NEAR, "{near}: {}", score(text, near));
        }
        for far in [
            "The assistant should never share what somebody said in private.",
            "Rents should not rise faster than wages.",
            "Housing",
            "?!",
        ] {
            assert!(score(text, far) < NEAR, "{far}: {}", score(text, far));
        }
    }

    #[test]
    fn the_nearest_items_come_first_and_no_more_than_a_few() {
        let texts: Vec<String> = (0..9).map(|end| format!("People should be told why, every time {end}")).collect();
        let items = texts.iter().map(|text| (BlobId::of(text.as_bytes()), text.as_str()));

        let found = similar("people should be told why; every time 7", items);

        assert_eq!(found.len(), MOST);
        assert_eq!(found[0], Similar { item: BlobId::of(texts[7].as_bytes()), score: 1.0 });
        assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    }

    proptest! {
        #[test]
        fn a_score_is_a_share_and_the_same_both_ways(one in "\\PC{0,40}", other in "\\PC{0,40}") {
            let there = score(&one, &other);

            prop_assert!((0.0..=1.0).contains(&there));
            prop_assert!((there - score(&other, &one)).abs() < f64::EPSILON);
        }
    }
}
