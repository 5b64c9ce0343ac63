//! One measured number.

/// A number that the project states somewhere, as measured here.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The number.
    pub(crate) value: f64,
    /// Its unit: s, B or ratio.
    pub(crate) unit: &'static str,
    /// The bound it is held against, if any.
    pub(crate) bound: Option<String>,
    /// Whether the bound holds.
    pub(crate) holds: Option<bool>,
}
