//! Channel bandwidth ratios as people write them.

use std::{fmt, str::FromStr};

/// Ratios that can be asked for.
const RANGE: std::ops::RangeInclusive<f64> = 0.0001..=16.0;

/// A channel bandwidth ratio, as it was written: `1/16` or `0.0625`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cbr {
    text: String,
    value: f64,
}

impl Cbr {
    /// Complex symbols per RGB value.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl fmt::Display for Cbr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cbr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let value = match text.split_once('/') {
            Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
            None => number(text),
        };
        match value {
            Some(value) if RANGE.contains(&value) => Ok(Self { text: text.into(), value }),
            _ => Err(format!(
                "must be a fraction such as 1/16, or a number, from {} to {}",
                RANGE.start(),
                RANGE.end()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_fractions_or_numbers_within_the_range() {
        for (text, value) in [("1/16", 0.0625), ("0.25", 0.25), (" 1/48 ", 1.0 / 48.0), ("2", 2.0)] {
            let cbr: Cbr = text.parse().expect(text);
            assert_eq!((cbr.value(), cbr.to_string()), (value, text.trim().to_owned()));
        }
        for text in ["", "0", "1/0", "-1/16", "17", "x", "1/2/3", "NaN"] {
            let error = text.parse::<Cbr>().expect_err(text);
            assert!(error.contains("0.0001 to 16"), "{error}");
        }
    }
}
