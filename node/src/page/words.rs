//! The texts of the page in all its languages.
//!
//! A catalogue is a table of `key = text` lines. `{name}` stands for a value; a text that depends on a number `n` has the
//! keys `key.one` and `key.other`. Both languages have the same keys and the same values, which a test checks.

use std::collections::BTreeMap;

use minijinja::{Error, ErrorKind, State, value::Kwargs};

use crate::api::ApiError;

const ENGLISH: &str = include_str!("words/en.txt");
const GERMAN: &str = include_str!("words/de.txt");

/// A language that the page speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// Returns the language's tag (BCP 47).
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Returns the language with a tag, whatever region it names.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "de" => Some(Self::German),
            _ => None,
        }
    }

    /// Returns the language that an `Accept-Language` header likes best.
    pub(super) fn accepted(header: &str) -> Self {
        let liked = header.split(',').filter_map(|part| {
            let (tag, weight) = part.split_once(";q=").unwrap_or((part, "1"));
            Some((Self::of_tag(tag.trim())?, weight.trim().parse::<f32>().ok().filter(|weight| *weight > 0.0)?))
        });
        // Of the languages that are liked equally, the first.
        let best = liked.fold(None, |best: Option<(Self, f32)>, next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        });
        best.map_or_else(Self::default, |(language, _)| language)
    }
}

/// All texts.
#[derive(Debug)]
pub(super) struct Catalogue {
    english: BTreeMap<&'static str, &'static str>,
    german: BTreeMap<&'static str, &'static str>,
}

impl Catalogue {
    /// Reads the tables.
    pub(super) fn new() -> Self {
        Self { english: read(ENGLISH), german: read(GERMAN) }
    }

    /// Returns a text with its values filled in; if one of them is `n`, its plural form.
    fn text(&self, language: Language, key: &str, values: &[(String, String)]) -> Option<String> {
        let table = match language {
            Language::English => &self.english,
            Language::German => &self.german,
        };
        let number = values.iter().find(|(name, _)| name == "n").map(|(_, value)| value.as_str());
        let form = number.map(|number| if number == "1" { "one" } else { "other" });
        let plural = form.and_then(|form| table.get(format!("{key}.{form}").as_str()));
        let text = plural.or_else(|| table.get(key))?;
        Some(values.iter().fold((*text).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value)))
    }

    /// Returns what went wrong, in a language.
    pub(super) fn error(&self, language: Language, error: &ApiError) -> String {
        let values: Vec<(String, String)> =
            error.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let text = self.text(language, &format!("error.{}", error.code.name()), &values);
        text.expect("every code has a text in every language, which a test checks")
    }

    /// The function that templates call: `t("key", name=value)`.
    pub(super) fn call(&self, state: &State<'_, '_>, key: &str, values: &Kwargs) -> Result<String, Error> {
        let language = state.lookup("language").and_then(|value| value.as_str().and_then(Language::of_tag));
        let value = |name: &str| -> Result<(String, String), Error> {
            let value: minijinja::Value = values.get(name)?;
            Ok((name.to_owned(), value.to_string()))
        };
        let names: Vec<&str> = values.args().collect();
        let values = names.into_iter().map(value).collect::<Result<Vec<_>, _>>()?;
        // Never a language that nobody chose: a template that hides it is wrong.
        let language = language.ok_or_else(|| Error::new(ErrorKind::UndefinedError, "no language"))?;
        self.text(language, key, &values)
            .ok_or_else(|| Error::new(ErrorKind::UndefinedError, format!("no text for {key:?}")))
    }
}

/// Reads the lines of a table: blank ones and those that begin with `#` say nothing.
fn read(table: &'static str) -> BTreeMap<&'static str, &'static str> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).map(|(key, text)| (key.trim(), text.trim())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::Code;

    /// Returns the values that a text names.
    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let catalogue = Catalogue::new();
        let keys = |table: &BTreeMap<&'static str, &'static str>| table.keys().copied().collect::<BTreeSet<_>>();

        assert_eq!(keys(&catalogue.english), keys(&catalogue.german));
        for (key, english) in &catalogue.english {
            assert_eq!(names(english), names(catalogue.german[key]), "{key}");
            assert!(!english.is_empty() && !catalogue.german[key].is_empty(), "{key}");
        }
        for key in catalogue.english.keys().filter_map(|key| key.strip_suffix(".one")) {
            assert!(catalogue.english.contains_key(format!("{key}.other").as_str()), "{key}");
        }
    }

    #[test]
    fn every_error_has_words_in_both_languages() {
        let catalogue = Catalogue::new();
        let mut codes = BTreeSet::new();

        for code in Code::ALL {
            let key = format!("error.{}", code.name());
            assert_eq!(serde_json::json!(code), code.name(), "one name for programs and words");
            assert!(
                catalogue.english.contains_key(key.as_str()) && catalogue.german.contains_key(key.as_str()),
                "{key}"
            );
            assert_ne!(catalogue.english[key.as_str()], catalogue.german[key.as_str()], "{key}");
            codes.insert(key);
        }
        let words = catalogue.english.keys().filter(|key| key.starts_with("error.") && **key != "error.detail");
        assert!(words.clone().all(|key| codes.contains(*key)), "words without an error");
        let long = ApiError::coded(Code::TooLong, "").with("bound", 4096);
        assert!(catalogue.error(Language::German, &long).contains("höchstens 4096 Bytes"));
    }

    #[test]
    fn no_line_of_a_table_is_lost() {
        for table in [ENGLISH, GERMAN] {
            let lines: Vec<&str> =
                table.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
            assert_eq!(read(table).len(), lines.len(), "every line is `key = text`, and no key stands twice");
        }
    }

    #[test]
    fn every_key_of_a_template_has_a_text() {
        let catalogue = Catalogue::new();
        let known = |key: &str| catalogue.text(Language::English, key, &[("n".into(), "1".into())]).is_some();
        for (name, source) in super::super::render::TEMPLATES {
            for call in source.split("t(\"").skip(1) {
                let (key, rest) = call.split_once('"').expect("a string ends");
                // A key that is put together begins with what stands here.
                let is_whole = !rest.trim_start().starts_with('~');
                let begins = || catalogue.english.keys().any(|known| known.starts_with(key));
                assert!(if is_whole { known(key) } else { begins() }, "{name}: {key}");
            }
        }
    }

    #[test]
    fn the_best_liked_language_is_spoken() {
        assert_eq!(Language::accepted("fr, de-CH;q=0.8, en;q=0.7"), Language::German);
        assert_eq!(Language::accepted("en-GB,en;q=0.9,de;q=0.8"), Language::English);
        assert_eq!(Language::accepted("de,en"), Language::German);
        assert_eq!(Language::accepted("de;q=0"), Language::English);
        assert_eq!(Language::accepted("\u{fffd};;;q=q"), Language::English);
    }

    #[test]
    fn a_number_chooses_the_plural() {
        let catalogue = Catalogue::new();
        let say = |n: &str| catalogue.text(Language::English, "count.ballots", &[("n".into(), n.into())]);

        assert_eq!((say("1").as_deref(), say("2").as_deref()), (Some("1 ballot"), Some("2 ballots")));
    }
}
