//! What may be changed while an air runs: [`AirSettings`], and changes to them as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::loss::LinkFaults;
use crate::channel::ChannelConfig;
use crate::radio::RadioError;

/// Longest change that is looked at.
pub const MAX_CHANGE_BYTES: usize = 64 * 1024;

/// What happens to samples, from here to the next change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AirSettings {
    /// The channel; receiver number i has its seed + i.
    pub channel: ChannelConfig,
    /// Losses behind it.
    pub faults: LinkFaults,
}

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Longer than [`MAX_CHANGE_BYTES`].
    #[error("a change of {0} bytes, allowed is up to {MAX_CHANGE_BYTES}")]
    TooLong(usize),
    /// Not JSON, or not of these fields.
    #[error("not understood: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A value is out of its range.
    #[error(transparent)]
    Refused(#[from] RadioError),
}

impl AirSettings {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`RadioError`] names the field and its range.
    pub fn validate(&self, sample_rate_hz: f64) -> Result<(), RadioError> {
        self.channel.validate(sample_rate_hz)?;
        self.faults.validate()
    }

    /// The settings after a change, a JSON merge patch (RFC 7396): fields that it does not name stay, `null` sets one
    /// back to its default.
    ///
    /// # Errors
    /// [`ChangeError`] when it is not JSON, names fields that there are not, or leaves a range.
    pub fn merged(&self, change: &[u8], sample_rate_hz: f64) -> Result<Self, ChangeError> {
        if change.len() > MAX_CHANGE_BYTES {
            return Err(ChangeError::TooLong(change.len()));
        }
        let mut whole = serde_json::to_value(self)?;
        merge(&mut whole, serde_json::from_slice(change)?);
        let settings: Self = serde_json::from_value(whole)?;
        settings.validate(sample_rate_hz)?;
        Ok(settings)
    }
}

/// RFC 7396, section 2. The depth is bounded by that of serde_json's parser.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: f64 = 7.68e6;

    fn before() -> AirSettings {
        let channel = ChannelConfig { snr_db: Some(9.0), cfo_hz: 100.0, seed: 5, ..ChannelConfig::default() };
        AirSettings { channel, faults: LinkFaults::default() }
    }

    #[test]
    fn a_change_names_what_changes_and_nothing_else() {
        let change = br#"{"channel": {"profile": "tdl-a:300", "snr_db": null,
            "front_end": {"adc_bits": 8}, "interferers": "tone/-10"}, "faults": {"loss": 0.1}}"#;
        let after = before().merged(change, RATE_HZ).expect("allowed");
        assert_eq!((after.channel.cfo_hz, after.channel.seed, after.faults.loss), (100.0, 5, 0.1));
        assert_eq!((after.channel.snr_db, after.channel.front_end.adc_bits), (None, Some(8)));
        assert_eq!(after.channel.profile.to_string(), "tdl-a:300");
        assert_eq!(before().merged(b"{}", RATE_HZ).expect("no change"), before());
    }

    #[test]
    fn what_is_wrong_is_named_with_the_range() {
        for (change, part) in [
            (r#"{"channel": {"cfo_hz": 1e9}}"#, "cfo_hz is 1000000000, allowed is -3840000 to 3840000"),
            (r#"{"faults": {"loss": 1}}"#, "loss is 1, allowed is 0 to 0.9"),
            (r#"{"channel": {"profile": "fog"}}"#, "unknown channel `fog`: allowed are awgn"),
            (r#"{"channel": {"front_end": {"adc_bits": 99}}}"#, "adc_bits is 99, allowed is 1 to 24"),
            (r#"{"channel": {"transmitter": {"amplifier": "valve"}}}"#, "allowed are none, rapp"),
            (r#"{"channel": {"snr": 3}}"#, "unknown field `snr`"),
            (r#"{"channel": 7}"#, "not understood"),
            ("[", "not understood"),
        ] {
            let message = before().merged(change.as_bytes(), RATE_HZ).expect_err(change).to_string();
            assert!(message.contains(part), "{change}: {message}");
        }
        let long = vec![b' '; MAX_CHANGE_BYTES + 1];
        assert!(before().merged(&long, RATE_HZ).expect_err("long").to_string().contains("65536"));
    }
}
