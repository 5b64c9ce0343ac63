//! The negation of a statement in English: "not" is put in, or taken out.
//!
//! A statement and its negation differ in nothing else, so whoever prefers one to the other does so for what it says. Where
//! that cannot be had with a word, there is no negation: a wrong one would teach the opposite of a vote.

/// The negation of a statement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Negation {
    /// The negation's text.
    pub text: String,
    /// Whether it is the statement, and not the negation, that says "not".
    pub of_negative: bool,
}

/// Verbs that carry a statement's claim, the strongest first: of the first kind that occurs, the first one is negated.
const CARRIERS: [&[&str]; 4] = [
    &["should", "must", "shall", "ought"],
    &["may", "might", "can", "could", "will", "would"],
    &["is", "are", "was", "were", "am"],
    &["does", "do", "did", "has", "have", "had"],
];

/// Carriers that have "not" written into them, and what they are without it.
const CONTRACTED: [(&str, &str); 20] = [
    ("shouldn't", "should"),
    ("mustn't", "must"),
    ("shan't", "shall"),
    ("oughtn't", "ought"),
    ("mightn't", "might"),
    ("cannot", "can"),
    ("can't", "can"),
    ("couldn't", "could"),
    ("won't", "will"),
    ("wouldn't", "would"),
    ("isn't", "is"),
    ("aren't", "are"),
    ("wasn't", "was"),
    ("weren't", "were"),
    ("doesn't", "does"),
    ("don't", "do"),
    ("didn't", "did"),
    ("hasn't", "has"),
    ("haven't", "have"),
    ("hadn't", "had"),
];

/// Words with which a sentence denies something besides its carrier: another "not" would not be its negation.
const DENIALS: [&str; 9] = ["not", "no", "never", "nobody", "nothing", "none", "neither", "nor", "nowhere"];

/// Words that begin a clause within another: what it denies, the sentence does not.
const SUBORDINATORS: [&str; 19] = [
    "when", "whenever", "if", "unless", "that", "who", "whom", "whose", "which", "what", "where", "because",
    "although", "though", "while", "until", "before", "after", "as",
];

/// Verbs with which statements command.
const COMMANDS: [&str; 60] = [
    "accept",
    "act",
    "admit",
    "ask",
    "avoid",
    "be",
    "behave",
    "care",
    "challenge",
    "change",
    "check",
    "consider",
    "defer",
    "do",
    "encourage",
    "explain",
    "favour",
    "favor",
    "follow",
    "give",
    "have",
    "help",
    "honour",
    "honor",
    "ignore",
    "inform",
    "judge",
    "keep",
    "learn",
    "leave",
    "let",
    "listen",
    "look",
    "make",
    "mention",
    "obey",
    "offer",
    "prefer",
    "prioritise",
    "prioritize",
    "promote",
    "protect",
    "provide",
    "put",
    "refuse",
    "reject",
    "remember",
    "report",
    "respect",
    "say",
    "seek",
    "share",
    "show",
    "speak",
    "support",
    "take",
    "tell",
    "treat",
    "try",
    "use",
];

/// A word of a statement.
struct Word<'a> {
    /// As it stands there.
    text: &'a str,
    /// In small letters, without punctuation around it.
    bare: String,
    /// Whether it is in a clause within the sentence, as far as conjunctions and commas tell.
    within: bool,
}

impl Word<'_> {
    /// Whether the sentence denies something with it.
    fn denies(&self) -> bool {
        !self.within && (DENIALS.contains(&self.bare.as_str()) || uncontracted(&self.bare).is_some())
    }

    fn is_one_of(&self, kind: &[&str]) -> bool {
        kind.contains(&uncontracted(&self.bare).unwrap_or(&self.bare))
    }
}

fn words(statement: &str) -> Vec<Word<'_>> {
    let mut within = false;
    let word = |text| {
        let bare = bare(text);
        within |= SUBORDINATORS.contains(&bare.as_str());
        let word = Word { text, bare, within };
        within &= !text.ends_with(',');
        word
    };
    statement.split_whitespace().map(word).collect()
}

/// Returns the negation of a statement; `None` if adding or removing a word does not make one.
pub fn negate(statement: &str) -> Option<Negation> {
    let words = words(statement);
    let places = |kind: &[&str], within: bool| -> Vec<usize> {
        let of_kind = words.iter().enumerate().filter(|(_, word)| word.is_one_of(kind) && (within || !word.within));
        of_kind.map(|(at, _)| at).collect()
    };
    let kind = CARRIERS.iter().find(|kind| !places(kind, true).is_empty());
    let first = words.first().map_or("", |first| first.bare.as_str());
    let main = kind.map(|kind| places(kind, false)).unwrap_or_default();
    match main.as_slice() {
        _ if matches!(first, "do" | "don't") => of_command(&words),
        [carrier] => of_carrier(&words, *carrier),
        // Two claims: the denial of one is not that of both.
        [_, _, ..] => None,
        [] if ["always", "never"].contains(&first) || COMMANDS.contains(&first) => of_command(&words),
        // "An AI that acts should ask": no comma tells where the clause ends.
        [] => match places(kind?, true).as_slice() {
            [carrier] => of_carrier(&words, *carrier),
            [] | [_, _, ..] => None,
        },
    }
}

/// Negates a statement with a verb that carries its claim.
fn of_carrier(words: &[Word<'_>], at: usize) -> Option<Negation> {
    let (before, rest) = words.split_at_checked(at)?;
    let [carrier, next, after @ ..] = rest else { return None };
    let denied = |rest: &[Word<'_>]| before.iter().chain(rest).any(Word::denies);
    if let Some(plain) = uncontracted(&carrier.bare) {
        let plain = if carrier.text.starts_with(char::is_uppercase) { capital(plain) } else { plain.to_owned() };
        return (!denied(after) && !next.denies()).then(|| joined(before, &[&plain, next.text], after, true));
    }
    if next.bare == "not" || next.bare == "never" {
        return (!denied(after)).then(|| joined(before, &[carrier.text], after, true));
    }
    if denied(after) || next.denies() || carrier.text.ends_with(|c: char| c.is_ascii_punctuation()) {
        return None;
    }
    Some(joined(before, &[carrier.text, "not", next.text], after, false))
}

/// Negates a command.
fn of_command(words: &[Word<'_>]) -> Option<Negation> {
    let without = |rest: &[Word<'_>]| -> Option<Negation> {
        let said = joined(&[], &[], rest, true);
        (!rest.is_empty() && !rest.iter().any(Word::denies)).then(|| Negation { text: capital(&said.text), ..said })
    };
    let [first, second, rest @ ..] = words else { return None };
    match first.bare.as_str() {
        "do" if second.bare == "not" => without(rest),
        "don't" | "never" => without(words.get(1..)?),
        verb if verb == "always" || COMMANDS.contains(&verb) => {
            let said = joined(&[], &["Do not", &small(first.text), second.text], rest, false);
            (!second.denies() && !rest.iter().any(Word::denies)).then_some(said)
        }
        _ => None,
    }
}

fn joined(before: &[Word<'_>], middle: &[&str], after: &[Word<'_>], of_negative: bool) -> Negation {
    let (before, after) = (before.iter().map(|word| word.text), after.iter().map(|word| word.text));
    let said: Vec<&str> = before.chain(middle.iter().copied()).chain(after).collect();
    Negation { text: said.join(" "), of_negative }
}

/// Returns a word in small letters, without punctuation around it.
fn bare(word: &str) -> String {
    let inner = word.trim_matches(|c: char| !c.is_alphanumeric());
    inner.to_lowercase().replace('\u{2019}', "'")
}

fn uncontracted(word: &str) -> Option<&'static str> {
    CONTRACTED.iter().find(|(contracted, _)| *contracted == word).map(|(_, plain)| *plain)
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// Returns a text that does not begin with a capital, as within a sentence.
fn small(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statements and their negations.
    const PAIRS: [(&str, &str); 17] = [
        ("The AI should say when it has no answer.", "The AI should not say when it has no answer."),
        ("An AI that is not tested should be kept offline.", "An AI that is not tested should not be kept offline."),
        ("If nobody objects, the AI should go on.", "If nobody objects, the AI should not go on."),
        ("The AI should be kind.", "The AI should not be kind."),
        ("An AI must obey the law, always.", "An AI must not obey the law, always."),
        ("It ought to listen.", "It ought not to listen."),
        ("AI that drives a car should value speed.", "AI that drives a car should not value speed."),
        ("If it can help, the AI should help.", "If it can help, the AI should not help."),
        ("AI may be used in schools.", "AI may not be used in schools."),
        ("AI is a tool.", "AI is not a tool."),
        ("The model has a duty to warn.", "The model has not a duty to warn."),
        ("Be kind.", "Do not be kind."),
        ("Tell people the truth", "Do not tell people the truth"),
        ("Always ask first.", "Do not always ask first."),
        ("Do the dishes.", "Do not do the dishes."),
        ("Be honest about what you can do.", "Do not be honest about what you can do."),
        ("Help should be given when it is asked for.", "Help should not be given when it is asked for."),
    ];

    #[test]
    fn statements_are_negated_and_their_negations_are_taken_back() {
        for (statement, negation) in PAIRS {
            let forth = negate(statement).unwrap_or_else(|| panic!("{statement}"));
            assert_eq!((forth.text.as_str(), forth.of_negative), (negation, false));

            let back = negate(negation).unwrap_or_else(|| panic!("{negation}"));
            assert_eq!((back.text.as_str(), back.of_negative), (statement, true));
        }
    }

    #[test]
    fn other_ways_to_say_not_are_taken_out() {
        let cases = [
            ("The AI shouldn't lie.", "The AI should lie."),
            ("The AI shouldn\u{2019}t lie.", "The AI should lie."),
            ("AI cannot be trusted.", "AI can be trusted."),
            ("It should never flatter.", "It should flatter."),
            ("Don't lie.", "Lie."),
            ("Never lie", "Lie"),
            ("Do not lie to children.", "Lie to children."),
            ("An assistant won't judge.", "An assistant will judge."),
        ];
        for (statement, negation) in cases {
            assert_eq!(negate(statement), Some(Negation { text: negation.into(), of_negative: true }), "{statement}");
        }
    }

    #[test]
    fn what_a_word_does_not_negate_has_no_negation() {
        let none = [
            "",
            "Kindness",
            "Kindness first",
            "The AI should be honest, not flattering.",
            "The AI should not lie, and should not flatter.",
            "The AI should help and people should help.",
            "The AI should give nobody advice.",
            "The AI should not say nothing.",
            "Yes it should.",
            "Do not",
            "No AI in schools",
            "Nobody should lie.",
        ];
        for statement in none {
            assert_eq!(negate(statement), None, "{statement}");
        }
    }

    #[test]
    fn nearly_all_principles_of_the_test_population_are_negated_as_people_would() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/adapters/population.json");
        let text = std::fs::read_to_string(path).expect("the population");
        let population: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let principles = population["principles"].as_array().expect("principles");
        let text = |principle: &serde_json::Value, key: &str| principle[key].as_str().expect("a text").to_owned();

        let negations: Vec<_> = principles
            .iter()
            .map(|principle| (negate(&text(principle, "statement")), text(principle, "negation")))
            .collect();

        let wrong = negations.iter().filter(|(own, known)| own.as_ref().is_some_and(|own| own.text != *known)).count();
        let none = negations.iter().filter(|(own, _)| own.is_none()).count();
        assert_eq!(wrong, 0, "{negations:?}");
        assert!(none * 20 <= principles.len(), "{none} of {} have none", principles.len());
    }
}
