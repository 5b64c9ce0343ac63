//! What a model wrote about each principle, read as well as it goes.
//!
//! The model is asked for one line for each principle: number, verdict, reason. Weak models forget numbers, decorate lines,
//! answer with "yes", or write something else altogether. What cannot be read is *unclear*, never a guess.

use super::{Label, Verdict};

/// The most bytes that are read; what follows is left away.
const MAX_BYTES: usize = 64 * 1024;

/// The most characters of a reason.
const MAX_REASON: usize = 300;

/// How many words before a verdict may turn it round, as in "does not really follow".
const NEGATION_REACH: usize = 3;

/// Reads the verdicts on principles that were told in this order. There is one for each, whatever was written.
pub fn read(text: &str, principles: &[String]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = principles.iter().zip(1..).map(|(text, number)| unclear(number, text)).collect();
    let end = text.floor_char_boundary(MAX_BYTES);
    for line in text.get(..end).unwrap_or_default().lines() {
        let (number, rest) = numbered(line);
        // One principle needs no number.
        let Some(number) = number.or((principles.len() == 1).then_some(1)) else { continue };
        let verdict = number.checked_sub(1).and_then(|place| verdicts.get_mut(place));
        if let Some(verdict) = verdict.filter(|verdict| verdict.label == Label::Unclear)
            && let Some((label, reason)) = label(rest)
        {
            (verdict.label, verdict.reason) = (label, reason);
        }
    }
    verdicts
}

/// Returns the verdict on a principle of which nothing was said.
pub fn unclear(principle: usize, text: &str) -> Verdict {
    Verdict { principle, text: text.to_owned(), label: Label::Unclear, score: None, reason: None }
}

/// Returns the number at the beginning of a line, after decoration and the word "principle", and what follows it.
fn numbered(line: &str) -> (Option<usize>, &str) {
    let line = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    let word = line.get(.."principle".len()).filter(|word| word.eq_ignore_ascii_case("principle"));
    let line = word.map_or(line, |word| line.get(word.len()..).unwrap_or_default());
    let line = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
    match line.get(..digits).filter(|digits| digits.len() <= 4).and_then(|digits| digits.parse().ok()) {
        Some(number) => (Some(number), line.get(digits..).unwrap_or_default()),
        None => (None, line),
    }
}

/// Returns the first verdict in a line, and what follows it.
fn label(line: &str) -> Option<(Label, Option<String>)> {
    let mut before: Vec<String> = Vec::new();
    let mut at = 0;
    for word in line.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’')) {
        at += word.len();
        let plain = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if plain.is_empty() {
            continue;
        }
        let label = match plain.as_str() {
            "yes" => Some(Label::Follows),
            "no" if before.is_empty() => Some(Label::Violates),
            word if word.starts_with("follow") || word.starts_with("compl") => Some(Label::Follows),
            word if word.starts_with("violat") => Some(Label::Violates),
            word if word.starts_with("unrelated") || word.starts_with("irrelevant") => Some(Label::Unrelated),
            _ => None,
        };
        if let Some(label) = label {
            let near = before.iter().rev().take(NEGATION_REACH);
            let negated = near.into_iter().any(|word| {
                matches!(word.as_str(), "not" | "never" | "no" | "nor" | "cannot" | "fails")
                    || word.ends_with("n't")
                    || word.ends_with("n’t")
            });
            let label = match label {
                Label::Follows if negated => Label::Violates,
                Label::Violates if negated => Label::Follows,
                Label::Unrelated if negated => return None,
                label => label,
            };
            return Some((label, reason(line.get(at..).unwrap_or_default())));
        }
        before.push(plain);
    }
    None
}

fn reason(rest: &str) -> Option<String> {
    let rest = rest.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '!' | '?' | '(' | ')'));
    let text: String = rest.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    text.chars().any(char::is_alphanumeric).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str, count: usize) -> Vec<Label> {
        let principles: Vec<String> = (1..=count).map(|number| format!("principle {number}")).collect();
        read(text, &principles).into_iter().map(|verdict| verdict.label).collect()
    }

    #[test]
    fn a_line_for_each_principle_is_read_with_its_reason() {
        let principles = ["Be kind", "Be brief", "Cite"].map(String::from);

        let verdicts = read("1. FOLLOWS: it is gentle.\n2. VIOLATES - 12 paragraphs\n3. UNRELATED", &principles);

        let read: Vec<_> =
            verdicts.iter().map(|it| (it.principle, it.text.as_str(), it.label, it.reason.as_deref())).collect();
        assert_eq!(
            read,
            [
                (1, "Be kind", Label::Follows, Some("it is gentle.")),
                (2, "Be brief", Label::Violates, Some("12 paragraphs")),
                (3, "Cite", Label::Unrelated, None),
            ]
        );
    }

    #[test]
    fn decorations_and_other_words_are_borne() {
        use Label::{Follows, Unclear, Unrelated, Violates};
        let text = "Here you go:\n**Principle 2:** the answer does not really follow it\n- 1) *Follows*\n{\"3\": \"unrelated\"}\n\
                    4: it doesn't violate this\n5. Yes\n6. No, it is long\n7. hard to say\n2. FOLLOWS\n99. FOLLOWS\n0. FOLLOWS";

        assert_eq!(labels(text, 8), [Follows, Violates, Unrelated, Follows, Follows, Violates, Unclear, Unclear]);
    }

    #[test]
    fn one_principle_needs_no_number() {
        assert_eq!(labels("The answer follows it.", 1), [Label::Follows]);
        assert_eq!(labels("The answer follows it.", 2), [Label::Unclear; 2]);
    }

    #[test]
    fn whatever_is_written_there_is_one_verdict_for_each_and_it_is_bounded() {
        let long = format!("1. FOLLOWS {}\n", "é".repeat(100_000));
        let principles = vec!["p".to_owned(); 3];

        let verdicts = read(&long.repeat(3), &principles);

        assert_eq!(verdicts.len(), 3);
        assert!(verdicts[0].reason.as_ref().is_some_and(|reason| reason.chars().count() == MAX_REASON));
        for odd in ["", "\0\0", "18446744073709551616. FOLLOWS", "１. FOLLOWS", "principle", "1", "ﬁ1.yes", "''''"] {
            assert_eq!(read(odd, &principles).len(), 3, "{odd:?}");
        }
    }
}
