//! Results of measurements: one JSON object a line for programs, or one line of text for people.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;

/// Prints figures as they come.
#[derive(Clone, Copy)]
pub struct Printer {
    /// As JSON.
    pub json: bool,
}

impl Printer {
    /// Prints a figure.
    pub fn print(self, figure: &(impl Serialize + Display)) -> anyhow::Result<()> {
        let line = if self.json { serde_json::to_string(figure)? } else { figure.to_string() };
        let mut output = std::io::stdout().lock();
        writeln!(output, "{line}")?;
        // A run takes minutes, and whoever reads a pipe wants to see where it is.
        output.flush()?;
        Ok(())
    }
}
