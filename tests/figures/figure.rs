//! One number that a claim rests on.

use core::fmt;

/// A measured number, with the bound that is claimed for it, if any.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: f64,
    /// Its unit: `s`, `B`, `bit` or `ratio`.
    pub(crate) unit: &'static str,
    /// The bound claimed, in words: `≤ 10`.
    pub(crate) bound: Option<String>,
    /// Whether the value keeps the bound.
    pub(crate) holds: Option<bool>,
}

impl Figure {
    /// A number without a bound.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, bound: None, holds: None }
    }

    /// Claims that the value is at most `bound`.
    #[must_use]
    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self { bound: Some(format!("≤ {bound}")), holds: Some(self.value <= bound), ..self }
    }

    /// Claims that the value is at least `bound`.
    #[must_use]
    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self { bound: Some(format!("≥ {bound}")), holds: Some(self.value >= bound), ..self }
    }

    /// Returns the figure as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a figure has no keys that are not text")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<72} {:>12.4} {:<6}", self.name, self.value, self.unit)?;
        match (&self.bound, self.holds) {
            (Some(bound), Some(true)) => write!(f, " {bound}  holds"),
            (Some(bound), Some(false)) => write!(f, " {bound}  DOES NOT HOLD"),
            (Some(bound), None) => write!(f, " {bound}"),
            (None, _) => Ok(()),
        }
    }
}
