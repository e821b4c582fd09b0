//! `semcast radio calibrate`: what a pair of radios is like.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use semcast_common::config::Overrides;
use semcast_phy::{
    numerology::Numerology,
    radio::{
        calibration::{
            report::{Calibration, Plan},
            sweep::Point,
        },
        open::Radio,
        soapy::Direction,
    },
};

use super::pair::{self, Pair};
use crate::{flags, radio_choice};

/// Measure a pair of radios with known frames: carrier and clock offset, SNR, EVM, usable levels and gains, noise figure
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    measure: Measure,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print how the radios would be set, and exit
    #[arg(long)]
    dry_run: bool,
}

/// How to measure.
#[derive(ClapArgs, Clone, Copy)]
pub struct Measure {
    /// Power at the receiver's input at the usual level, in dBm over the occupied band: for the noise figure
    #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
    pub input_dbm: Option<f64>,
    /// Probes at the usual level
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    probes: u32,
    /// Step of the sweep of levels, in dB, 0.5 to 20
    #[arg(long, value_name = "DB", default_value_t = 3.0)]
    step: f64,
}

impl Measure {
    /// What is measured, at a frequency.
    pub fn plan(&self, frequency_hz: Option<f64>) -> Plan {
        Plan {
            probes: self.probes as usize,
            step_db: self.step.clamp(0.5, 20.0),
            input_dbm: self.input_dbm,
            frequency_hz,
            ..Plan::default()
        }
    }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.pair.add_to(&mut overrides);
    super::quietly(&args.source, &mut overrides);
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let radios = pair::radios(&config)?;
    if args.dry_run {
        radio_choice::dry_run(&radios[0], Direction::Transmit)?;
        return radio_choice::dry_run(&radios[1], Direction::Receive);
    }
    let numerology = flags::numerology(&config)?;
    let calibration = measure(&radios, numerology, &args.measure.plan(config.soapy.frequency_hz))?;
    flags::print_text(&calibration.to_string());
    if let Some(path) = &args.report {
        std::fs::write(path, serde_json::to_string_pretty(&calibration)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Measures a pair, the receiver's gains too where it has any.
pub fn measure(radios: &[Radio; 2], numerology: Numerology, plan: &Plan) -> anyhow::Result<Calibration> {
    check_duplex(radios)?;
    let mut calibration = Calibration::measure(&mut pair::session(radios, numerology)?, &numerology, plan)?;
    calibration.add_gains(gains(radios, numerology, plan)?);
    Ok(calibration)
}

/// Steps of a sweep of gain.
#[cfg(feature = "soapysdr")]
const GAIN_STEPS: f64 = 8.0;

/// Opens the receiver anew at gains over all of its range.
#[cfg(feature = "soapysdr")]
fn gains(radios: &[Radio; 2], numerology: Numerology, plan: &Plan) -> anyhow::Result<Vec<Point>> {
    use semcast_phy::{
        mode::Mode,
        radio::soapy::{GainChoice, device::Device},
    };

    let [transmit, Radio::Soapy { device, settings }] = radios else { return Ok(Vec::new()) };
    let range = Device::open(device)?.capabilities(Direction::Receive, settings.channel).total_gain;
    let step = ((range.most - range.least) / GAIN_STEPS).max(1.0);
    let mut points = Vec::new();
    let mut gain = range.least;
    while gain <= range.most {
        let mut settings = settings.clone();
        settings.gain = Some(GainChoice::Total(gain));
        let receive = Radio::Soapy { device: device.clone(), settings };
        let mut session = pair::session(&[transmit.clone(), receive], numerology)?;
        let readings = session.probe(Mode::Normal, 0.0, plan.probes_a_level)?;
        points.push(Point::new(gain, plan.probes_a_level, &readings));
        gain += step;
    }
    Ok(points)
}

#[cfg(not(feature = "soapysdr"))]
fn gains(_: &[Radio; 2], _: Numerology, _: &Plan) -> anyhow::Result<Vec<Point>> {
    Ok(Vec::new())
}

/// One half-duplex device cannot hear itself.
#[cfg(feature = "soapysdr")]
fn check_duplex(radios: &[Radio; 2]) -> anyhow::Result<()> {
    use semcast_phy::radio::soapy::device::Device;

    if let [Radio::Soapy { device: transmit, settings }, Radio::Soapy { device: receive, .. }] = radios
        && transmit.same_device(receive)
        && !Device::open(receive)?.capabilities(Direction::Receive, settings.channel).full_duplex
    {
        return Err(crate::exit::Failure::Usage(format!(
            "{receive} is half duplex and cannot hear itself: name a second device to receive (serial=...)"
        ))
        .into());
    }
    Ok(())
}

#[cfg(not(feature = "soapysdr"))]
fn check_duplex(_: &[Radio; 2]) -> anyhow::Result<()> {
    Ok(())
}
