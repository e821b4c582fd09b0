//! What a user asks of a device.

use std::fmt;
use std::str::FromStr;

use super::format::DeviceFormat;

/// Which way samples go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the antenna.
    Transmit,
    /// From the antenna.
    Receive,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transmit => "transmit",
            Self::Receive => "receive",
        })
    }
}

/// Gain of a device, in dB.
#[derive(Debug, Clone, PartialEq)]
pub enum GainChoice {
    /// The device's own control. For receivers alone.
    Automatic,
    /// The whole chain; the driver shares it out.
    Total(f64),
    /// Stages by name.
    Stages(Vec<(String, f64)>),
}

impl FromStr for GainChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("gain `{text}`: expected dB such as 32, stages such as LNA=32,VGA=20, or auto");
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|gain| gain.is_finite());
        if text.trim() == "auto" {
            return Ok(Self::Automatic);
        }
        if let Some(gain) = number(text) {
            return Ok(Self::Total(gain));
        }
        let mut stages = Vec::new();
        for part in text.split(',') {
            let (name, gain) = part.split_once('=').ok_or_else(wrong)?;
            let name = name.trim();
            if name.is_empty() || name.contains('\0') || stages.iter().any(|(known, _)| known == name) {
                return Err(wrong());
            }
            stages.push((name.to_string(), number(gain).ok_or_else(wrong)?));
        }
        Ok(Self::Stages(stages))
    }
}

impl fmt::Display for GainChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Automatic => f.write_str("auto"),
            Self::Total(gain) => write!(f, "{gain}"),
            Self::Stages(stages) => {
                let stages: Vec<String> =
                    stages.iter().map(|(name, gain)| format!("{name}={gain}")).collect();
                f.write_str(&stages.join(","))
            }
        }
    }
}

/// What a user asks of one direction of a device. What is `None` stays as the driver has it.
#[derive(Debug, Clone, PartialEq)]
pub struct SoapySettings {
    /// Complex samples per second, the grid's own.
    pub sample_rate_hz: f64,
    /// Centre of the signal in Hz.
    pub frequency_hz: Option<f64>,
    /// Gain in dB.
    pub gain: Option<GainChoice>,
    /// Antenna port by name.
    pub antenna: Option<String>,
    /// Analog filter in Hz.
    pub bandwidth_hz: Option<f64>,
    /// Local oscillator beside the signal by so many Hz, for devices that shift digitally; 0: not.
    pub offset_hz: f64,
    /// Correction of the reference clock in parts per million.
    pub correction_ppm: f64,
    /// Sample format; `None`: the device's native one.
    pub format: Option<DeviceFormat>,
    /// Transmitters: mean power of the signal in dB below full scale, negative, so that its peaks pass. Default −12.
    pub level_dbfs: f64,
    /// Channel of the device.
    pub channel: usize,
    /// Receivers: take out the mean. Default yes.
    pub dc_filter: bool,
    /// Transmitters: buffers of silence before each burst, and one behind; `None`: what the device is known to need.
    pub pad_buffers: Option<usize>,
    /// Transmitters: bursts carry a time so many ms ahead, on devices that keep time; 0: as soon as possible.
    pub ahead_ms: u32,
}

impl SoapySettings {
    /// The defaults, at a sample rate.
    pub fn new(sample_rate_hz: f64) -> Self {
        Self {
            sample_rate_hz,
            frequency_hz: None,
            gain: None,
            antenna: None,
            bandwidth_hz: None,
            offset_hz: 0.0,
            correction_ppm: 0.0,
            format: None,
            level_dbfs: -12.0,
            channel: 0,
            dc_filter: true,
            pad_buffers: None,
            ahead_ms: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_a_number_stages_or_automatic() {
        assert_eq!("auto".parse(), Ok(GainChoice::Automatic));
        assert_eq!("-3.5".parse(), Ok(GainChoice::Total(-3.5)));
        let stages = GainChoice::Stages(vec![("LNA".into(), 32.0), ("VGA".into(), 20.0)]);
        assert_eq!("LNA=32, VGA=20".parse(), Ok(stages.clone()));
        assert_eq!(stages.to_string().parse(), Ok(stages));
        for wrong in ["", "NaN", "LNA", "LNA=", "LNA=x", "LNA=1,LNA=2", "=3", "inf"] {
            assert!(wrong.parse::<GainChoice>().is_err(), "{wrong}");
        }
    }
}
