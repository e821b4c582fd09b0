//! Limits: figures that pass or fail.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A figure with its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Number in the procedure, such as `A3`.
    pub number: String,
    /// What is measured, under which conditions.
    pub what: String,
    /// The figure; `None` if it could not be measured, which fails.
    pub value: Option<f64>,
    /// Least that passes.
    pub least: Option<f64>,
    /// Most that passes.
    pub most: Option<f64>,
    /// Unit of all three.
    pub unit: String,
}

impl Check {
    /// A figure that must not be below `least`.
    pub fn at_least(
        number: &str,
        what: impl Into<String>,
        value: Option<f64>,
        least: f64,
        unit: &str,
    ) -> Self {
        Self {
            number: number.into(),
            what: what.into(),
            value,
            least: Some(least),
            most: None,
            unit: unit.into(),
        }
    }

    /// A figure that must not be above `most`.
    pub fn at_most(number: &str, what: impl Into<String>, value: Option<f64>, most: f64, unit: &str) -> Self {
        Self {
            number: number.into(),
            what: what.into(),
            value,
            least: None,
            most: Some(most),
            unit: unit.into(),
        }
    }

    /// A figure that must be `expected` within `tolerance` to both sides.
    pub fn near(
        number: &str,
        what: impl Into<String>,
        value: Option<f64>,
        expected: f64,
        tolerance: f64,
        unit: &str,
    ) -> Self {
        let (least, most) = (Some(expected - tolerance), Some(expected + tolerance));
        Self { number: number.into(), what: what.into(), value, least, most, unit: unit.into() }
    }

    /// Whether it passes. What is no number does not.
    pub fn passes(&self) -> bool {
        self.value.is_some_and(|value| {
            value.is_finite()
                && self.least.is_none_or(|least| value >= least)
                && self.most.is_none_or(|most| value <= most)
        })
    }

    fn with_unit(&self, number: String) -> String {
        if self.unit.is_empty() { number } else { format!("{number} {}", self.unit) }
    }

    fn allowed(&self) -> String {
        match (self.least, self.most) {
            (Some(least), Some(most)) => self.with_unit(format!("{least:.2} to {most:.2}")),
            (Some(least), None) => self.with_unit(format!("≥ {least:.2}")),
            (None, Some(most)) => self.with_unit(format!("≤ {most:.2}")),
            (None, None) => "any".into(),
        }
    }
}

/// A table in Markdown.
pub struct Table<'a>(pub &'a [Check]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| no. | what | measured | limit | |\n|---|---|---|---|---|")?;
        for check in self.0 {
            let value =
                check.value.map_or_else(|| "–".into(), |value| check.with_unit(format!("{value:.2}")));
            let verdict = if check.passes() { "pass" } else { "**FAIL**" };
            writeln!(f, "| {} | {} | {value} | {} | {verdict} |", check.number, check.what, check.allowed())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_on_both_sides_and_for_what_is_missing() {
        let near = |value| Check::near("A1", "offset", value, 100.0, 5.0, "Hz").passes();
        assert!(near(Some(95.0)) && near(Some(105.0)));
        assert!(!near(Some(94.9)) && !near(Some(105.1)) && !near(None) && !near(Some(f64::NAN)));
        assert!(Check::at_least("A2", "x", Some(1.0), 1.0, "").passes());
        assert!(!Check::at_most("A3", "x", Some(1.1), 1.0, "").passes());
    }

    #[test]
    fn a_table_says_which_fail() {
        let checks =
            [Check::at_most("A1", "EVM", Some(0.5), 1.0, "%"), Check::at_most("A2", "EVM", None, 1.0, "%")];
        let table = Table(&checks).to_string();
        assert!(table.contains("| A1 | EVM | 0.50 % | ≤ 1.00 % | pass |"), "{table}");
        assert!(table.contains("| A2 | EVM | – | ≤ 1.00 % | **FAIL** |"), "{table}");
    }
}
