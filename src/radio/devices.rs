//! `semcast radio list` and `probe`: the devices that SoapySDR finds, and what they have.

use clap::Args as ClapArgs;

/// List the devices that are connected, as --radio takes them
#[derive(ClapArgs)]
pub struct ListArgs {
    /// Ask this driver alone, such as hackrf, uhd, lime or plutosdr; without it all that are installed, which takes longer
    #[arg(long, value_name = "NAME")]
    driver: Option<String>,
}

/// Tell what a device has: gains, antennas, frequencies, rates, formats
#[derive(ClapArgs)]
pub struct ProbeArgs {
    /// The device, such as soapy:driver=hackrf
    radio: String,
}

#[cfg(feature = "soapysdr")]
mod with_devices {
    use std::fmt::Write as _;

    use semcast_phy::radio::{
        RadioAddress,
        soapy::{
            DeviceArgs, Direction,
            device::{Device, find},
            plan::{Capabilities, Span},
        },
    };

    use crate::{exit::Failure, flags::print_text};

    /// Prints what SoapySDR finds.
    pub fn list(args: &super::ListArgs) -> anyhow::Result<()> {
        let filter: Vec<_> =
            args.driver.iter().map(|driver| ("driver".to_string(), driver.clone())).collect();
        let found = find(&filter);
        if found.is_empty() {
            return Err(Failure::Unavailable(
                "no device found: is it connected, its SoapySDR module installed (SoapySDRUtil --info), and may you use it?".into(),
            )
            .into());
        }
        for device in found {
            let value =
                |name: &str| device.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            // What opens it again: the driver, and what tells it from others of its kind.
            let named: Vec<String> = ["driver", "serial", "addr", "remote", "air", "transmit", "receive"]
                .iter()
                .filter_map(|key| value(key).map(|value| format!("{key}={value}")))
                .collect();
            let label = value("label").or_else(|| value("product")).unwrap_or_default();
            print_text(&format!("soapy:{}   {label}\n", named.join(",")));
        }
        Ok(())
    }

    /// Prints what a device has.
    pub fn probe(args: &super::ProbeArgs) -> anyhow::Result<()> {
        let address: RadioAddress =
            args.radio.parse().map_err(|error| Failure::Usage(format!("radio: {error}")))?;
        let RadioAddress::Soapy(device) = address else {
            return Err(Failure::Usage(
                "only devices (soapy:driver=...) can be probed: an air has no settings".into(),
            )
            .into());
        };
        print_text(&described(&device)?);
        Ok(())
    }

    fn described(args: &DeviceArgs) -> anyhow::Result<String> {
        let device = Device::open(args)?;
        let mut text = String::new();
        for direction in [Direction::Transmit, Direction::Receive] {
            let has = device.capabilities(direction, 0);
            if direction == Direction::Transmit {
                writeln!(
                    text,
                    "driver {}, hardware {}, time {}",
                    has.driver,
                    has.hardware,
                    yes(has.has_time)
                )?;
            }
            describe(&mut text, direction, &has)?;
        }
        Ok(text)
    }

    fn yes(is: bool) -> &'static str {
        if is { "yes" } else { "no" }
    }

    fn spans(spans: &[Span]) -> String {
        let texts: Vec<String> = spans.iter().map(ToString::to_string).collect();
        if texts.is_empty() { "–".into() } else { texts.join(", ") }
    }

    fn describe(text: &mut String, direction: Direction, has: &Capabilities) -> std::fmt::Result {
        writeln!(text, "{direction}: {} channels, full duplex {}", has.channels, yes(has.full_duplex))?;
        if has.channels == 0 {
            return Ok(());
        }
        writeln!(
            text,
            "  formats          {} (native {}, full scale {})",
            has.formats.join(", "),
            has.native.0,
            has.native.1
        )?;
        writeln!(text, "  antennas         {}", has.antennas.join(", "))?;
        writeln!(text, "  gain dB          {}, automatic {}", has.total_gain, yes(has.automatic_gain))?;
        for (name, span) in &has.gains {
            writeln!(text, "    {name:<14} {span}")?;
        }
        writeln!(
            text,
            "  frequency Hz     {} (parts: {})",
            spans(&has.frequencies),
            has.frequency_parts.join(", ")
        )?;
        writeln!(text, "  sample rate Hz   {}", spans(&has.sample_rates))?;
        writeln!(text, "  bandwidth Hz     {}", spans(&has.bandwidths))?;
        writeln!(
            text,
            "  DC by itself     {}, reference correction {}",
            yes(has.automatic_dc),
            yes(has.correction)
        )
    }
}

#[cfg(feature = "soapysdr")]
pub use with_devices::{list, probe};

/// Says how to get a build that can.
#[cfg(not(feature = "soapysdr"))]
pub fn list(args: &ListArgs) -> anyhow::Result<()> {
    let device = args.driver.as_ref().map_or_else(|| "driver=*".into(), |driver| format!("driver={driver}"));
    Err(semcast_phy::radio::RadioError::NotBuilt { device }.into())
}

/// Says how to get a build that can.
#[cfg(not(feature = "soapysdr"))]
pub fn probe(args: &ProbeArgs) -> anyhow::Result<()> {
    let device = args.radio.trim_start_matches("soapy:").to_string();
    Err(semcast_phy::radio::RadioError::NotBuilt { device }.into())
}
