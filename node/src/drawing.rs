//! Drawings, as SVG: pure functions from what the protocol computed to text.
//!
//! A drawing names no colours but the reader's own (`currentColor`), so that it serves in light and dark, loads nothing, has
//! no script and no style attribute, and says in words what it shows. Coordinates are integers in a fixed order of
//! operations: the same graph gives the same bytes everywhere.

pub mod moral_graph;

/// Writes a text so that XML reads it as text.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML knows no other control characters.
            control if control.is_control() && control != '\n' && control != '\t' => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
    out
}
