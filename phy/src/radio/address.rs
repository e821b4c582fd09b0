//! Which radio a program uses: `udp:HOST:PORT`, `soapy:driver=…,key=value`, or `sigmf:FILE`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::soapy::DeviceArgs;

/// A radio by name, as `--radio` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RadioAddress {
    /// A port of an emulated air, HOST:PORT; not resolved yet.
    Udp(String),
    /// A device that SoapySDR knows.
    Soapy(DeviceArgs),
    /// A recording: what a receiver hears, or where a transmitter's bursts go.
    Sigmf(PathBuf),
}

/// Why a text names no radio.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The kind before the first colon is unknown, or missing.
    #[error("no radio is called `{0}`: expected udp:HOST:PORT, soapy:driver=NAME,key=value,… or sigmf:FILE")]
    Kind(String),
    /// The address of an air.
    #[error("`{0}` is not HOST:PORT with a port from 1 to 65535")]
    Port(String),
    /// The arguments of a device.
    #[error("soapy:{text}: {reason}")]
    Arguments {
        /// What follows `soapy:`.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FromStr for RadioAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let short = || text.chars().take(200).collect::<String>();
        match text.split_once(':') {
            Some(("udp", address)) => {
                let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
                match port.map(|(_, port)| port.parse::<u16>()) {
                    Some(Ok(1..)) => Ok(Self::Udp(address.into())),
                    _ => Err(AddressError::Port(address.chars().take(200).collect())),
                }
            }
            Some(("soapy", arguments)) => arguments.parse().map(Self::Soapy).map_err(|reason| {
                AddressError::Arguments { text: arguments.chars().take(200).collect(), reason }
            }),
            Some(("sigmf", file)) if !file.is_empty() => Ok(Self::Sigmf(file.into())),
            _ => Err(AddressError::Kind(short())),
        }
    }
}

impl fmt::Display for RadioAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Soapy(arguments) => write!(f, "soapy:{arguments}"),
            Self::Sigmf(file) => write!(f, "sigmf:{}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_radio_are_read_and_written() {
        for text in [
            "udp:127.0.0.1:4810",
            "udp:[::1]:4810",
            "udp:air.example:1",
            "soapy:driver=hackrf",
            "soapy:driver=a, serial=1 2",
            "sigmf:folder/a recording.sigmf-meta",
        ] {
            let address: RadioAddress = text.parse().expect(text);
            assert_eq!(address.to_string().parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_is_no_radio_is_told_what_one_looks_like() {
        for (text, part) in [
            ("", "expected udp:HOST:PORT"),
            ("hackrf", "soapy:driver="),
            ("usb:1", "`usb:1`"),
            ("udp:4810", "HOST:PORT"),
            ("udp:host:0", "1 to 65535"),
            ("udp:host:99999", "1 to 65535"),
            ("sigmf:", "sigmf:FILE"),
            ("soapy:", "driver="),
            ("soapy:hackrf", "key=value"),
            ("soapy:serial=1", "driver="),
        ] {
            let error = text.parse::<RadioAddress>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
