//! How near texts are to one another in their words: for choosing what to show, and for finding cards that may mean the same.
//!
//! The cosine of word counts, in which a word weighs the less the more of the texts have it. It knows no synonyms: an
//! operator who merges cards reads them. No two nodes need to agree on it, as nothing that is published depends on it.

use std::collections::BTreeMap;

use super::entropy::log2;
use crate::deliberation::linear::real;

/// Letters of a word that count, so that its endings do not: *listen*, *listens* and *listening* are one.
const STEM: usize = 5;

/// Letters of the shortest word that counts, in scripts that have words.
const SHORTEST: usize = 3;

/// Texts, each as a vector of length one over their words.
#[derive(Clone, Debug)]
pub struct Nearness {
    vectors: Vec<BTreeMap<String, f64>>,
}

impl Nearness {
    /// Reads texts.
    pub fn of<T: AsRef<str>>(texts: &[T]) -> Self {
        let counts: Vec<BTreeMap<String, u32>> = texts.iter().map(|text| words(text.as_ref())).collect();
        let mut spread = BTreeMap::<&str, u64>::new();
        for word in counts.iter().flat_map(BTreeMap::keys) {
            *spread.entry(word).or_default() += 1;
        }
        // One bit more than the rarest has: what every text says weighs as well, or two texts alone would never be near.
        let all = log2(2 * (counts.len() as u64 + 1));
        let weight = |word: &str| real((all - log2(spread.get(word).copied().unwrap_or_default())).into());
        let vector = |counts: &BTreeMap<String, u32>| {
            let long = |(word, count): (&String, &u32)| (word.clone(), real((*count).into()) * weight(word));
            let long: BTreeMap<String, f64> = counts.iter().map(long).collect();
            let length = long.values().fold(0.0, |sum, entry| sum + entry * entry).sqrt();
            long.into_iter().map(|(word, entry)| (word, if length > 0.0 { entry / length } else { 0.0 })).collect()
        };
        Self { vectors: counts.iter().map(vector).collect() }
    }

    /// Returns how near two texts are, by their places: 0 for texts without a common word, 1 for equal ones.
    pub fn between(&self, one: usize, other: usize) -> f64 {
        let (Some(one), Some(other)) = (self.vectors.get(one), self.vectors.get(other)) else { return 0.0 };
        let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
        short.iter().filter_map(|(word, entry)| Some(entry * long.get(word)?)).fold(0.0, |sum, term| sum + term)
    }

    /// Returns the pairs of texts that are at least so near, the nearest first.
    pub fn pairs(&self, least: f64) -> Vec<(usize, usize, f64)> {
        let each = |one: usize| (one + 1..self.vectors.len()).map(move |other| (one, other));
        let pairs = (0..self.vectors.len()).flat_map(each).map(|(one, other)| (one, other, self.between(one, other)));
        let mut pairs: Vec<_> = pairs.filter(|(_, _, near)| *near >= least).collect();
        pairs.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
        pairs
    }
}

/// Returns how often a text has each word.
fn words(text: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    let lower = text.to_lowercase();
    for run in lower.split(|letter: char| !letter.is_alphanumeric()) {
        if run.chars().any(is_ideograph) {
            run.chars().for_each(|letter| *counts.entry(letter.to_string()).or_default() += 1);
        } else if run.chars().count() >= SHORTEST {
            *counts.entry(run.chars().take(STEM).collect()).or_default() += 1;
        }
    }
    counts
}

/// Scripts that put no space between words: each of their characters is one.
const fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_nearest_and_those_without_a_common_word_are_not_near() {
        let near = Nearness::of(&["Listen to people", "people: LISTENING TO", "Silence", "", "正直", "正しい"]);

        assert!((near.between(0, 1) - 1.0).abs() < 1e-12);
        assert!(near.between(0, 2).abs() < 1e-12 && near.between(0, 3).abs() < 1e-12);
        let between = near.between(4, 5);
        assert!(between > 0.1 && between < 0.9, "{between}");
        assert_eq!(near.pairs(0.05).iter().map(|(one, other, _)| (*one, *other)).collect::<Vec<_>>(), [(0, 1), (4, 5)]);
        assert!(near.between(0, 99).abs() < 1e-12);
    }

    #[test]
    fn what_all_texts_say_tells_less_than_what_two_say() {
        let near = Nearness::of(&["moments where trust grows", "moments where trust ends", "moments where nothing is"]);

        assert!(near.between(0, 1) > 1.5 * near.between(0, 2));
    }
}
