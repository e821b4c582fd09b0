//! What a user asks for and what a device has → what is set, or what cannot be.
//!
//! Nothing here talks to a device: the plan of a dry run is the one that is carried out.

use std::fmt;

use super::format::{Converter, DeviceFormat};
use super::padding::Padding;
use super::settings::{Direction, GainChoice, SoapySettings};

/// Values that a setting may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Span {
    fn holds(self, value: f64) -> bool {
        // A millionth to both sides: limits are rounded by drivers.
        let slack = 1e-6 * self.least.abs().max(self.most.abs());
        (self.least - slack..=self.most + slack).contains(&value)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            write!(f, "{}", self.least)
        } else {
            write!(f, "{} to {}", self.least, self.most)
        }
    }
}

/// What one direction of a device has, as its driver says.
#[derive(Debug, Clone, PartialEq)]
pub struct Capabilities {
    /// Name of the driver.
    pub driver: String,
    /// Name of the hardware.
    pub hardware: String,
    /// Number of channels.
    pub channels: usize,
    /// Whether both directions work at once.
    pub full_duplex: bool,
    /// Whether the device keeps time.
    pub has_time: bool,
    /// Formats by SoapySDR's names.
    pub formats: Vec<String>,
    /// The native one, and its value at ±1.0.
    pub native: (String, f64),
    /// Antenna ports.
    pub antennas: Vec<String>,
    /// Stages of gain.
    pub gains: Vec<(String, Span)>,
    /// Gain of the whole chain.
    pub total_gain: Span,
    /// Whether there is automatic gain.
    pub automatic_gain: bool,
    /// Centre frequencies in Hz.
    pub frequencies: Vec<Span>,
    /// Parts that make up the frequency, such as RF and BB.
    pub frequency_parts: Vec<String>,
    /// Sample rates in Hz.
    pub sample_rates: Vec<Span>,
    /// Bandwidths in Hz.
    pub bandwidths: Vec<Span>,
    /// Whether the device can take out its DC offset by itself.
    pub automatic_dc: bool,
    /// Whether its reference can be corrected.
    pub correction: bool,
}

/// What cannot be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A number outside of what the device has.
    #[error("{setting} is {value}, this device has {allowed}")]
    OutOfRange {
        /// The setting, with its unit.
        setting: String,
        /// What was asked for.
        value: f64,
        /// What there is.
        allowed: String,
    },
    /// A name that the device does not have.
    #[error("{setting} `{value}` is not there, this device has {allowed}")]
    Unknown {
        /// The setting.
        setting: &'static str,
        /// What was asked for.
        value: String,
        /// What there is.
        allowed: String,
    },
    /// Something that the device cannot do at all.
    #[error("{0}")]
    Impossible(&'static str),
}

/// What is set on a device, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Which way samples go.
    pub direction: Direction,
    /// Channel.
    pub channel: usize,
    /// Correction of the reference in ppm, where it is asked for.
    pub correction_ppm: Option<f64>,
    /// Sample rate in Hz.
    pub sample_rate_hz: f64,
    /// Analog filter in Hz.
    pub bandwidth_hz: Option<f64>,
    /// Antenna.
    pub antenna: Option<String>,
    /// Frequency of the signal in Hz.
    pub frequency_hz: Option<f64>,
    /// The oscillator's distance from it in Hz.
    pub offset_hz: f64,
    /// Gain.
    pub gain: Option<GainChoice>,
    /// Whether the device is told to take out its DC offset.
    pub automatic_dc: bool,
    /// Whether the mean is taken out here.
    pub dc_filter: bool,
    /// Format of samples, with its scale.
    pub converter: Converter,
    /// Transmitters: factor of samples of unit mean power.
    pub amplitude: f32,
    /// Transmitters: silence around bursts.
    pub padding: Padding,
    /// Transmitters: time in ns from a burst's first write to its first sample, on devices that keep time.
    pub ahead_ns: Option<i64>,
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    match items {
        [] => "none".into(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn within(setting: &str, value: f64, spans: &[Span]) -> Result<f64, PlanError> {
    // A driver that names no range leaves it to the device.
    if value.is_finite() && (spans.is_empty() || spans.iter().any(|span| span.holds(value))) {
        return Ok(value);
    }
    Err(PlanError::OutOfRange { setting: setting.into(), value, allowed: list(spans) })
}

/// Makes the plan for one direction.
///
/// # Errors
/// [`PlanError`] names the setting and what the device has.
pub fn plan(
    direction: Direction,
    settings: &SoapySettings,
    device: &Capabilities,
) -> Result<Plan, PlanError> {
    if settings.channel >= device.channels {
        return Err(PlanError::OutOfRange {
            setting: format!("{direction} channel"),
            value: settings.channel as f64,
            allowed: match device.channels {
                0 => format!("no channels that {direction}"),
                channels => format!("0 to {}", channels - 1),
            },
        });
    }
    let frequency_hz = settings.frequency_hz.map(|hz| within("frequency in Hz", hz, &device.frequencies));
    let frequency_hz = frequency_hz.transpose()?;
    if direction == Direction::Transmit && frequency_hz.is_none() && device.driver != super::EMULATED_DRIVER {
        return Err(PlanError::Impossible(
            "no frequency: a transmitter must be told one (--frequency), and its user must be allowed to use it",
        ));
    }
    if settings.offset_hz != 0.0 && !device.frequency_parts.iter().any(|part| part != "RF") {
        return Err(PlanError::Impossible(
            "offset tuning is not possible: this device tunes its oscillator alone (no part beside RF); nothing is sent at DC anyway",
        ));
    }
    if settings.offset_hz.abs() > settings.sample_rate_hz {
        return Err(PlanError::OutOfRange {
            setting: "offset in Hz".into(),
            value: settings.offset_hz,
            allowed: format!("±{}, the sample rate", settings.sample_rate_hz),
        });
    }
    if !(-60.0..=0.0).contains(&settings.level_dbfs) {
        return Err(PlanError::OutOfRange {
            setting: "level in dB of full scale".into(),
            value: settings.level_dbfs,
            allowed: "-60 to 0".into(),
        });
    }
    if let Some(antenna) = &settings.antenna
        && !device.antennas.contains(antenna)
    {
        let allowed = list(&device.antennas);
        return Err(PlanError::Unknown { setting: "antenna", value: antenna.clone(), allowed });
    }
    if settings.correction_ppm != 0.0 && !device.correction {
        return Err(PlanError::Impossible(
            "this device cannot correct its reference: leave out the correction in ppm",
        ));
    }
    Ok(Plan {
        direction,
        channel: settings.channel,
        correction_ppm: (settings.correction_ppm != 0.0).then_some(settings.correction_ppm),
        sample_rate_hz: within("sample rate in Hz", settings.sample_rate_hz, &device.sample_rates)?,
        bandwidth_hz: settings
            .bandwidth_hz
            .map(|hz| within("bandwidth in Hz", hz, &device.bandwidths))
            .transpose()?,
        antenna: settings.antenna.clone(),
        frequency_hz,
        offset_hz: settings.offset_hz,
        gain: gain(direction, settings, device)?,
        automatic_dc: direction == Direction::Receive && device.automatic_dc,
        dc_filter: direction == Direction::Receive && settings.dc_filter,
        converter: converter(settings, device)?,
        amplitude: 10f64.powf(settings.level_dbfs / 20.0) as f32,
        padding: match (direction, settings.pad_buffers) {
            (Direction::Receive, _) => Padding::NONE,
            (_, Some(buffers)) => Padding::of(buffers),
            (_, None) => Padding::needed_by(device),
        },
        ahead_ns: (direction == Direction::Transmit && device.has_time && settings.ahead_ms > 0)
            .then_some(i64::from(settings.ahead_ms) * 1_000_000),
    })
}

fn gain(
    direction: Direction,
    settings: &SoapySettings,
    device: &Capabilities,
) -> Result<Option<GainChoice>, PlanError> {
    match &settings.gain {
        None => {}
        Some(GainChoice::Automatic) if direction == Direction::Receive && device.automatic_gain => {}
        Some(GainChoice::Automatic) => {
            return Err(PlanError::Impossible("there is no automatic gain here: give it in dB"));
        }
        Some(GainChoice::Total(gain)) => {
            within(&format!("{direction} gain in dB"), *gain, &[device.total_gain])?;
        }
        Some(GainChoice::Stages(stages)) => {
            for (name, gain) in stages {
                let Some((_, span)) = device.gains.iter().find(|(known, _)| known == name) else {
                    let names: Vec<&str> = device.gains.iter().map(|(name, _)| name.as_str()).collect();
                    let allowed = list(&names);
                    return Err(PlanError::Unknown {
                        setting: "stage of gain",
                        value: name.clone(),
                        allowed,
                    });
                };
                within(&format!("{direction} gain {name} in dB"), *gain, &[*span])?;
            }
        }
    }
    Ok(settings.gain.clone())
}

/// The native format if it is one of ours: what a driver would convert is converted here, with the device's own full scale.
fn converter(settings: &SoapySettings, device: &Capabilities) -> Result<Converter, PlanError> {
    let (native, full_scale) = (DeviceFormat::from_name(&device.native.0), device.native.1);
    let offered = |format: &DeviceFormat| device.formats.iter().any(|name| name == format.name());
    let format = match settings.format {
        Some(format) if offered(&format) => Some(format),
        Some(format) => {
            let (value, allowed) = (format.name().into(), list(&device.formats));
            return Err(PlanError::Unknown { setting: "sample format", value, allowed });
        }
        None => native.or_else(|| DeviceFormat::ALL.into_iter().find(offered)),
    };
    let format = format.ok_or_else(|| PlanError::Unknown {
        setting: "sample format",
        value: "CS8, CS16 or CF32".into(),
        allowed: list(&device.formats),
    })?;
    let full_scale = if native == Some(format) { full_scale } else { format.full_scale() };
    Ok(Converter::new(format, full_scale))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unchanged = || "as the driver has it".to_string();
        let hz = |value: Option<f64>| value.map_or_else(unchanged, |hz| format!("{hz} Hz"));
        writeln!(f, "{} channel {}", self.direction, self.channel)?;
        writeln!(
            f,
            "  reference        {}",
            self.correction_ppm.map_or_else(unchanged, |ppm| format!("{ppm} ppm"))
        )?;
        writeln!(f, "  sample rate      {} Hz", self.sample_rate_hz)?;
        writeln!(f, "  bandwidth        {}", hz(self.bandwidth_hz))?;
        writeln!(f, "  antenna          {}", self.antenna.clone().unwrap_or_else(unchanged))?;
        writeln!(f, "  frequency        {}", hz(self.frequency_hz))?;
        if self.offset_hz != 0.0 {
            writeln!(f, "  oscillator       {} Hz beside it", self.offset_hz)?;
        }
        writeln!(
            f,
            "  gain             {}",
            self.gain.as_ref().map_or_else(unchanged, |gain| format!("{gain} dB"))
        )?;
        writeln!(f, "  sample format    {}", self.converter.format().name())?;
        match self.direction {
            Direction::Transmit => {
                writeln!(f, "  mean level       {:.1} dB of full scale", 20.0 * self.amplitude.log10())?;
                writeln!(f, "  bursts           {}", self.padding)?;
                if let Some(ns) = self.ahead_ns {
                    writeln!(f, "  time             each burst {} ms ahead", ns / 1_000_000)?;
                }
                Ok(())
            }
            Direction::Receive => {
                let dc = [(self.automatic_dc, "by the device"), (self.dc_filter, "by a filter here")];
                let dc: Vec<&str> = dc.iter().filter(|(on, _)| *on).map(|(_, how)| *how).collect();
                writeln!(f, "  DC taken out     {}", if dc.is_empty() { "no".into() } else { dc.join(", ") })
            }
        }
    }
}

#[cfg(test)]
mod tests;
