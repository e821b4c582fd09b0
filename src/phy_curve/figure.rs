//! A figure: names and values in the order in which they were given.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// What was measured, of what, and the values.
pub struct Figure {
    figure: &'static str,
    case: String,
    values: Vec<(&'static str, Value)>,
}

impl Figure {
    /// Without values.
    pub fn new(figure: &'static str, case: impl Into<String>) -> Self {
        Self { figure, case: case.into(), values: Vec::new() }
    }

    /// Adds a count or a text.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.push((name, value.into()));
        self
    }

    /// Adds a number, rounded to `digits` digits behind the point; what is no number is left out.
    pub fn rounded(mut self, name: &'static str, value: f64, digits: i32) -> Self {
        let unit = 10f64.powi(digits);
        if let Some(value) = serde_json::Number::from_f64((value * unit).round() / unit) {
            self.values.push((name, Value::Number(value)));
        }
        self
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.values.len()))?;
        map.serialize_entry("figure", self.figure)?;
        map.serialize_entry("case", &self.case)?;
        for (name, value) in &self.values {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:11}  {:40}", self.figure, self.case)?;
        for (name, value) in &self.values {
            match value {
                Value::String(text) => write!(f, "  {name} {text}")?,
                other => write!(f, "  {name} {other}")?,
            }
        }
        Ok(())
    }
}
