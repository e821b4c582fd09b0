//! Values: what one may be, and how text from the environment becomes one.

use toml::Value;

/// What the value of a key may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// A real number from … to ….
    Real(f64, f64),
    /// A whole number from … to ….
    Whole(i64, i64),
    /// true or false.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `HOST:PORT`.
    Address,
    /// Any text of 1 to 4096 bytes.
    Text,
    /// Up to 64 texts.
    TextList,
}

impl Rule {
    /// What is allowed, in words.
    pub fn allowed(self) -> String {
        match self {
            Self::Real(low, high) => format!("a number from {low} to {high}"),
            Self::Whole(low, high) => format!("a whole number from {low} to {high}"),
            Self::Switch => "true or false".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Address => "an address as HOST:PORT, with a port from 0 to 65535".into(),
            Self::Text => "a text of 1 to 4096 bytes".into(),
            Self::TextList => "a list of up to 64 texts".into(),
        }
    }

    /// The value in the type that the key has, or `None` if it is not allowed.
    pub(super) fn check(self, value: Value) -> Option<Value> {
        let text_fits = |text: &str| (1..=4096).contains(&text.len());
        match (self, value) {
            (Self::Real(low, high), Value::Float(number)) => {
                (low..=high).contains(&number).then_some(Value::Float(number))
            }
            (Self::Real(..), Value::Integer(number)) => self.check(Value::Float(number as f64)),
            (Self::Whole(low, high), Value::Integer(number)) => {
                (low..=high).contains(&number).then_some(Value::Integer(number))
            }
            (Self::Switch, value @ Value::Boolean(_)) => Some(value),
            (Self::Choice(words), Value::String(word)) => {
                words.contains(&word.as_str()).then_some(Value::String(word))
            }
            (Self::Address, Value::String(address)) => {
                let (host, port) = address.rsplit_once(':')?;
                (text_fits(host) && port.parse::<u16>().is_ok()).then_some(Value::String(address))
            }
            (Self::Text, Value::String(text)) => text_fits(&text).then_some(Value::String(text)),
            (Self::TextList, Value::Array(texts)) => {
                let fits = texts.len() <= 64 && texts.iter().all(|text| text.as_str().is_some_and(text_fits));
                fits.then_some(Value::Array(texts))
            }
            _ => None,
        }
    }

    /// Text from outside TOML (an environment variable) as a value; a list has commas between its texts.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Real(..) => text.trim().parse().ok().map(Value::Float),
            Self::Whole(..) => text.trim().parse().ok().map(Value::Integer),
            Self::Switch => text.trim().parse().ok().map(Value::Boolean),
            Self::Choice(_) | Self::Address | Self::Text => Some(Value::String(text.into())),
            Self::TextList => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Value::Array(parts.map(|part| Value::String(part.into())).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_range() {
        let rule = Rule::Real(-1.0, 1.0);
        assert_eq!(rule.check(Value::Integer(1)), Some(Value::Float(1.0)));
        for wrong in [Value::Float(1.1), Value::Float(f64::NAN), Value::Boolean(true)] {
            assert_eq!(rule.check(wrong), None);
        }
        assert_eq!(Rule::Whole(0, 3).check(Value::Float(2.0)), None);
    }

    #[test]
    fn addresses_have_a_port() {
        for (address, right) in [
            ("localhost:1", true),
            ("[::1]:4820", true),
            ("127.0.0.1", false),
            ("a:70000", false),
            (":1", false),
        ] {
            assert_eq!(Rule::Address.check(address.into()).is_some(), right, "{address}");
        }
    }

    #[test]
    fn text_becomes_lists() {
        let list = Rule::TextList.read("a.cert, b.cert,").unwrap();
        assert_eq!(list.as_array().unwrap().len(), 2);
        assert_eq!(Rule::Switch.read("yes"), None);
    }
}
