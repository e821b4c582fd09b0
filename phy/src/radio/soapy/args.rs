//! Arguments of a SoapySDR device: `driver=hackrf,serial=0000…`.

use std::fmt;
use std::str::FromStr;

/// Most arguments of a device.
const MOST: usize = 64;

/// Keys with values, in SoapySDR's own markup (`SoapySDR::KwargsFromString`): `key=value` with commas between,
/// white space around keys and values left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceArgs(Vec<(String, String)>);

impl DeviceArgs {
    /// Keys and values, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Whether both name the same device, in whatever order.
    pub fn same_device(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }

    /// The driver that is asked for. Without one SoapySDR would load and ask every driver it has.
    pub fn driver(&self) -> &str {
        self.get("driver").unwrap_or_default()
    }
}

impl FromStr for DeviceArgs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut args: Vec<(String, String)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or("expected key=value with commas between")?;
            let (key, value) = (key.trim(), value.trim());
            if key.is_empty() || part.contains('\0') || args.len() == MOST {
                return Err("expected at most 64 times key=value, no key empty");
            }
            if args.iter().any(|(known, _)| known == key) {
                return Err("a key is there twice");
            }
            args.push((key.into(), value.into()));
        }
        if args.iter().all(|(key, value)| key != "driver" || value.is_empty()) {
            return Err("driver=NAME is missing; `semcast radio list` shows what is connected");
        }
        Ok(Self(args))
    }
}

impl fmt::Display for DeviceArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={value}", if number > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arguments_are_found_by_key() {
        let args: DeviceArgs = " driver = hackrf, serial=a=b ,,".parse().expect("arguments");
        assert_eq!((args.driver(), args.get("serial"), args.get("x")), ("hackrf", Some("a=b"), None));
        assert_eq!(args.to_string(), "driver=hackrf,serial=a=b");
        assert!(args.same_device(&"serial=a=b,driver=hackrf".parse().expect("arguments")));
        assert!(!args.same_device(&"driver=hackrf".parse().expect("arguments")));
    }

    #[test]
    fn a_key_twice_and_a_missing_driver_are_refused() {
        assert!("driver=a,driver=b".parse::<DeviceArgs>().is_err());
        assert!("driver=".parse::<DeviceArgs>().is_err());
        assert!("serial=1".parse::<DeviceArgs>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_comes_back(text in "\\PC{0,80}") {
            if let Ok(args) = text.parse::<DeviceArgs>() {
                prop_assert_eq!(args.to_string().parse(), Ok(args));
            }
        }
    }
}
