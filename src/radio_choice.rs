//! Which radio a daemon uses and how it is set: flags and configuration → a radio of the physical layer.

use clap::Args;
use semcast_common::config::{Config, Overrides};
use semcast_phy::radio::{
    RadioAddress, RadioError,
    open::Radio,
    soapy::{Direction, SoapySettings, format::DeviceFormat},
};

use crate::{exit::Failure, flags};

/// The radio of a transmitter or a receiver.
#[derive(Args, Default, Clone)]
pub struct RadioChoice {
    /// Radio: udp:HOST:PORT (an emulated air), soapy:driver=NAME,key=value,... (a device; `semcast radio list` shows them), or sigmf:FILE (a recording)
    #[arg(long, value_name = "RADIO")]
    pub radio: Option<String>,
    /// Of a device: centre of the signal, in Hz
    #[arg(long, value_name = "HZ")]
    pub frequency: Option<f64>,
    /// Of a device: gain in dB, such as 32, stages such as LNA=16,VGA=20, or auto (receivers)
    #[arg(long, value_name = "DB", allow_hyphen_values = true)]
    pub gain: Option<String>,
    /// Of a device: antenna port
    #[arg(long, value_name = "NAME")]
    pub antenna: Option<String>,
    /// Of a device: analog filter, in Hz
    #[arg(long, value_name = "HZ")]
    pub bandwidth: Option<f64>,
    /// Of a device that shifts digitally: oscillator beside the signal by so many Hz
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    pub tune_offset: Option<f64>,
    /// Of a device: correction of its reference clock, in ppm
    #[arg(long, value_name = "PPM", allow_negative_numbers = true)]
    pub ppm: Option<f64>,
    /// Of a device: sample format, instead of its own
    #[arg(long, value_name = "NAME", value_parser = ["cs8", "cs16", "cf32"])]
    pub sample_format: Option<String>,
    /// Of a transmitting device: mean level of the signal, in dB of full scale
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub level: Option<f64>,
    /// Print how the radio would be set, and exit
    #[arg(long)]
    pub dry_run: bool,
}

impl RadioChoice {
    /// Adds the flags that were given.
    pub fn add_to(&self, direction: Direction, overrides: &mut Overrides) {
        let (radio, gain, antenna) = match direction {
            Direction::Transmit => ("transmitter.radio", "soapy.transmit_gain", "soapy.transmit_antenna"),
            Direction::Receive => ("receiver.radio", "soapy.receive_gain", "soapy.receive_antenna"),
        };
        overrides
            .set("--radio", radio, self.radio.clone())
            .set("--frequency", "soapy.frequency_hz", self.frequency)
            .set("--gain", gain, self.gain.clone())
            .set("--antenna", antenna, self.antenna.clone())
            .set("--bandwidth", "soapy.bandwidth_hz", self.bandwidth)
            .set("--tune-offset", "soapy.offset_hz", self.tune_offset)
            .set("--ppm", "soapy.correction_ppm", self.ppm)
            .set("--sample-format", "soapy.format", self.sample_format.clone())
            .set("--level", "soapy.level_dbfs", self.level);
    }
}

/// The radio of a configuration, for one direction.
pub fn radio(config: &Config, direction: Direction) -> anyhow::Result<Radio> {
    let (named, air) = match direction {
        Direction::Transmit => (&config.transmitter.radio, &config.air.transmit_addr),
        Direction::Receive => (&config.receiver.radio, &config.air.receive_addr),
    };
    let address = match named {
        Some(text) => text.parse().map_err(|error| Failure::Usage(format!("radio: {error}")))?,
        None => RadioAddress::Udp(air.clone()),
    };
    Ok(match address {
        RadioAddress::Udp(address) => Radio::Udp(flags::address(&address)?),
        RadioAddress::Sigmf(file) => Radio::Sigmf(file),
        RadioAddress::Soapy(device) => {
            Radio::Soapy { device, settings: Box::new(soapy_settings(config, direction)?) }
        }
    })
}

/// The settings of a device in a configuration.
pub fn soapy_settings(config: &Config, direction: Direction) -> anyhow::Result<SoapySettings> {
    let soapy = &config.soapy;
    let (gain, antenna) = match direction {
        Direction::Transmit => (&soapy.transmit_gain, &soapy.transmit_antenna),
        Direction::Receive => (&soapy.receive_gain, &soapy.receive_antenna),
    };
    let gain = gain.as_deref().map(str::parse).transpose().map_err(Failure::Usage)?;
    Ok(SoapySettings {
        frequency_hz: soapy.frequency_hz,
        gain,
        antenna: antenna.clone(),
        bandwidth_hz: soapy.bandwidth_hz,
        offset_hz: soapy.offset_hz,
        correction_ppm: soapy.correction_ppm,
        format: soapy.format.as_deref().and_then(DeviceFormat::from_name),
        level_dbfs: soapy.level_dbfs,
        channel: soapy.channel,
        dc_filter: soapy.dc_filter,
        pad_buffers: soapy.pad_buffers,
        ahead_ms: soapy.ahead_ms,
        ..SoapySettings::new(flags::numerology(config)?.sample_rate_hz)
    })
}

/// Prints how a radio would be set.
pub fn dry_run(radio: &Radio, direction: Direction) -> anyhow::Result<()> {
    match radio {
        Radio::Udp(address) => {
            flags::print_text(&format!("{direction}: datagrams to the air at {address}, nothing to set\n"))
        }
        Radio::Sigmf(file) => {
            flags::print_text(&format!("{direction}: the recording {}, nothing to set\n", file.display()))
        }
        Radio::Soapy { device, settings } => {
            let plan = plan(device, settings, direction)?;
            flags::print_text(&format!("{device}\n{plan}"));
        }
    }
    Ok(())
}

#[cfg(feature = "soapysdr")]
fn plan(
    device: &semcast_phy::radio::soapy::DeviceArgs,
    settings: &SoapySettings,
    direction: Direction,
) -> Result<semcast_phy::radio::soapy::plan::Plan, RadioError> {
    semcast_phy::radio::soapy::device::Device::open(device)?.plan(direction, settings)
}

#[cfg(not(feature = "soapysdr"))]
fn plan(
    device: &semcast_phy::radio::soapy::DeviceArgs,
    _: &SoapySettings,
    _: Direction,
) -> Result<semcast_phy::radio::soapy::plan::Plan, RadioError> {
    Err(RadioError::NotBuilt { device: device.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_names_a_device_on_a_grid_that_exists() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/profiles");
        let mut profiles = 0;
        for entry in std::fs::read_dir(folder).expect("the profiles") {
            let path = entry.expect("a profile").path();
            let name = path.display().to_string();
            let config = Config::load(Some(&path), [], &Overrides::new()).expect(&name);
            for direction in [Direction::Transmit, Direction::Receive] {
                let Radio::Soapy { device, settings } = radio(&config, direction).expect(&name) else {
                    panic!("{name} names no device");
                };
                assert!(!device.driver().is_empty() && settings.gain.is_some(), "{name}");
                // Whoever transmits has to choose it.
                assert_eq!(settings.frequency_hz, None, "{name}");
            }
            let text = std::fs::read_to_string(&path).expect(&name);
            assert!(text.contains("you need a licence"), "{name} says nothing of the law");
            profiles += 1;
        }
        assert_eq!(profiles, 5);
    }
}
