//! Tables of what was measured, as they stand in documents.

use core::fmt;

use crate::figure::Figure;

/// What is printed: a figure, or a table.
#[derive(Clone, Debug)]
pub(crate) enum Printed {
    Figure(Figure),
    Table(Table),
}

impl From<Figure> for Printed {
    fn from(figure: Figure) -> Self {
        Self::Figure(figure)
    }
}

impl From<Table> for Printed {
    fn from(table: Table) -> Self {
        Self::Table(table)
    }
}

impl Printed {
    /// Returns one line of JSON per figure or row.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Figure(figure) => figure.to_json(),
            Self::Table(table) => table.to_json(),
        }
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Figure(figure) => figure.fmt(f),
            Self::Table(table) => table.fmt(f),
        }
    }
}

/// A table: a title, the names of its columns, and rows of text.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table.
    pub(crate) fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self { title: title.into(), columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, one text for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn to_json(&self) -> String {
        let line = |row: &Vec<String>| {
            let cells = self.columns.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.as_str().into()));
            let cells: serde_json::Map<String, serde_json::Value> =
                core::iter::once(("table".to_owned(), self.title.as_str().into())).chain(cells).collect();
            serde_json::Value::Object(cells).to_string()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Table {
    /// Writes the table in Markdown, its columns aligned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header: Vec<String> = self.columns.iter().map(|&name| name.to_owned()).collect();
        let lines = || core::iter::once(&header).chain(&self.rows);
        let width =
            |column: usize| lines().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        write!(f, "\n**{}**\n\n", self.title)?;
        for (number, row) in lines().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                widths.iter().try_for_each(|&width| write!(f, "|{}", "-".repeat(width + 2)))?;
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}
