//! What people wrote, made harmless to read.
//!
//! Templates escape every text. That keeps it from being markup, and not from deceiving: characters that nobody sees make
//! two statements look the same, and characters that turn the direction of writing round make a text read otherwise than
//! it is. They are shown as marks, and every text is isolated from the direction of what stands around it.

use std::fmt::Write as _;

use minijinja::Value;

/// Returns HTML of a text that somebody wrote: escaped, isolated, with marks for what cannot be seen.
pub(super) fn inert(text: &str) -> Value {
    Value::from_safe_string(html(text))
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str("<bdi>");
    each(text, |piece| match piece {
        Piece::Plain('<') => out.push_str("&lt;"),
        Piece::Plain('>') => out.push_str("&gt;"),
        Piece::Plain('&') => out.push_str("&amp;"),
        Piece::Plain('"') => out.push_str("&quot;"),
        Piece::Plain('\'') => out.push_str("&#39;"),
        Piece::Plain(other) => out.push(other),
        Piece::Hidden(code) => {
            // Writing to a string does not fail.
            let _ = write!(out, "<span class=\"mark\">U+{code:04X}</span>");
        }
    });
    out.push_str("</bdi>");
    out
}

/// Returns a text for where no markup can stand: titles and labels.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    each(text, |piece| match piece {
        Piece::Plain('\n') => out.push(' '),
        Piece::Plain(other) => out.push(other),
        Piece::Hidden(code) => {
            let _ = write!(out, "[U+{code:04X}]");
        }
    });
    out
}

/// Does the same to a text whose lines are kept.
pub(crate) fn plain_lines(text: &str) -> String {
    text.lines().flat_map(|line| [plain(line), "\n".to_owned()]).collect()
}

enum Piece {
    Plain(char),
    Hidden(u32),
}

fn each(text: &str, mut take: impl FnMut(Piece)) {
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let joins =
            is_joiner(character) && before.is_some_and(is_joined) && characters.peek().copied().is_some_and(is_joined);
        take(if is_hidden(character) && !joins { Piece::Hidden(character.into()) } else { Piece::Plain(character) });
        before = Some(character);
    }
}

/// Joiners are part of the spelling of some languages, and of composed pictures.
const fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200C}' | '\u{200D}')
}

/// Returns whether a joiner beside it may mean something: letters of such a script, and pictures.
const fn is_joined(character: char) -> bool {
    matches!(character, '\u{0600}'..='\u{0DFF}' | '\u{FE0F}' | '\u{2190}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Returns whether a character is not seen, or turns the direction of writing round.
fn is_hidden(character: char) -> bool {
    match character {
        '\n' => false,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' => true,
        '\u{180B}'..='\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{3164}' | '\u{FE00}'..='\u{FE0E}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' => true,
        '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<b>&\"'"), "<bdi>&lt;b&gt;&amp;&quot;&#39;</bdi>");
    }

    #[test]
    fn what_is_hidden_or_turns_round_is_a_mark() {
        for hidden in ['\u{202E}', '\u{2066}', '\u{200B}', '\u{FEFF}', '\u{E0041}', '\u{7}', '\u{AD}', '\u{3164}'] {
            let code = u32::from(hidden);
            assert_eq!(plain(&format!("a{hidden}b")), format!("a[U+{code:04X}]b"));
            assert!(!html(&format!("a{hidden}b")).contains(hidden));
        }
    }

    #[test]
    fn joiners_stay_where_they_spell_something() {
        for spelt in ["می\u{200C}خواهم", "👩\u{200D}🔬", "क्\u{200D}ष", "❤\u{FE0F}\u{200D}🔥"] {
            assert_eq!(plain(spelt), spelt);
        }
        assert_eq!(plain("a\u{200D}b"), "a[U+200D]b");
    }
}
