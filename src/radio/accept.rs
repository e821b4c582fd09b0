//! `semcast radio accept`: the acceptance procedure of docs/ACCEPTANCE.md, over an emulated air or a pair of radios.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use semcast_common::config::{Config, Overrides};
use semcast_phy::{
    channel::ChannelConfig,
    mode::Mode,
    radio::{
        RadioError,
        calibration::{
            limits::{Check, Table},
            probe::Reading,
            report::{Calibration, Plan},
            session::Session,
            sweep::{Point, THERMAL_DBM_PER_HZ, mean, median},
        },
    },
};

use super::{
    calibrate::{self, Measure},
    pair::{self, Pair},
};
use crate::{exit::Failure, flags};

/// Silence in front of a burst: the air's own default.
const LEAD: u32 = 2048;

/// Check limits: of the program, over an emulated air (the default), or of a pair of radios. Fails if one does not hold
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    measure: Measure,
    /// Over the emulated air, use it through this device: soapy:driver=semcast-air,transmit={transmit},receive={receive}
    #[arg(long, value_name = "RADIO", conflicts_with_all = ["transmit", "receive"])]
    through: Option<String>,
    /// Write the report as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the checks as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.pair.add_to(&mut overrides);
    if args.through.is_some() {
        // Unit mean power goes out, and comes in as it is.
        overrides
            .set("--through", "soapy.level_dbfs", Some(args.pair.level.unwrap_or(0.0)))
            .set(
                "--through",
                "soapy.transmit_gain",
                Some(args.pair.transmit_gain.clone().unwrap_or("0".into())),
            )
            .set(
                "--through",
                "soapy.receive_gain",
                Some(args.pair.receive_gain.clone().unwrap_or("0".into())),
            );
    }
    super::quietly(&args.source, &mut overrides);
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let over_radios = args.pair.transmit.is_some() || args.pair.receive.is_some();
    let (title, checks) = if over_radios {
        let radios = pair::radios(&config)?;
        let plan = args.measure.plan(config.soapy.frequency_hz);
        let found = calibrate::measure(&radios, flags::numerology(&config)?, &plan)?;
        flags::print_text(&format!("{found}\n"));
        ("a pair of radios", hardware(&found))
    } else {
        ("the emulated air", Emulated { config: &config, through: args.through.as_deref() }.run()?)
    };
    let numerology = flags::numerology(&config)?;
    let failed = checks.iter().filter(|check| !check.passes()).count();
    let report = format!(
        "# Acceptance over {title}\n\n```sh\n{}\n```\n\nsemcast {}, DFT {} with prefix {}, {} resource blocks, {} samples/s{}. Procedure and limits: \
         docs/ACCEPTANCE.md.\n\n{}\n{} of {} passed.\n",
        command(),
        env!("CARGO_PKG_VERSION"),
        numerology.fft_size,
        numerology.cyclic_prefix,
        numerology.resource_blocks,
        numerology.sample_rate_hz,
        args.through.as_ref().map_or_else(String::new, |through| format!(", through `{through}`")),
        Table(&checks),
        checks.len() - failed,
        checks.len(),
    );
    flags::print_text(&report);
    let write = |path: &Option<PathBuf>, text: &str| match path {
        Some(path) => std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display())),
        None => Ok(()),
    };
    write(&args.report, &report)?;
    write(&args.json, &serde_json::to_string_pretty(&checks)?)?;
    if failed > 0 {
        return Err(Failure::Delivery(format!("{failed} of {} limits do not hold", checks.len())).into());
    }
    Ok(())
}

/// How this run was started, for a shell.
fn command() -> String {
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,".contains(c));
    let quoted =
        |word: String| if plain(&word) { word } else { format!("'{}'", word.replace('\'', "'\\''")) };
    let words = std::env::args().skip(1).map(quoted);
    std::iter::once("semcast".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Limits of a pair of radios on a cable.
fn hardware(found: &Calibration) -> Vec<Check> {
    let share = 100.0 * found.intact as f64 / found.probes.max(1) as f64;
    let span = found.usable_db.map(|(low, high)| high - low);
    let mut checks = vec![
        Check::at_least("H1", "probes intact at the usual level", Some(share), 100.0, "%"),
        Check::at_most("H2", "EVM at the usual level", found.evm_percent, 10.0, "%"),
        Check::at_most("H3", "EVM floor", found.fit.map(|fit| fit.evm_floor_percent), 6.0, "%"),
        Check::at_least("H4", "usable range of levels", span, 20.0, "dB"),
        Check::at_most("H5", "samples lost", Some(found.lost_samples as f64), 0.0, ""),
        Check::at_most("H6", "frames heard that were not sent", Some(found.strangers as f64), 0.0, ""),
        Check::at_most("H7", "spread of the carrier offset", found.cfo_spread_hz, 500.0, "Hz"),
    ];
    if found.cfo_ppm.is_some() {
        checks.push(Check::at_most(
            "H8",
            "carrier offset, magnitude",
            found.cfo_ppm.map(f64::abs),
            40.0,
            "ppm",
        ));
    }
    if found.input_dbm.is_some() {
        checks.push(Check::at_most("H9", "noise figure", found.noise_figure_db, 20.0, "dB"));
    }
    if !found.gains.is_empty() {
        let span = found.usable_gain_db.map(|(low, high)| high - low);
        checks.push(Check::at_least("H10", "usable range of receive gain", span, 10.0, "dB"));
    }
    checks
}

/// The procedure over an air of its own.
struct Emulated<'a> {
    config: &'a Config,
    through: Option<&'a str>,
}

impl Emulated<'_> {
    fn run(&self) -> anyhow::Result<Vec<Check>> {
        let mut checks = Vec::new();
        self.offsets(&mut checks)?;
        self.estimates(&mut checks)?;
        self.delivery(&mut checks)?;
        self.levels(&mut checks)?;
        self.false_alarms(&mut checks)?;
        Ok(checks)
    }

    fn probes(&self, channel: ChannelConfig, mode: Mode, count: usize) -> anyhow::Result<Vec<Reading>> {
        pair::emulated(self.config, channel, LEAD, self.through, |session| session.probe(mode, 0.0, count))
    }

    fn offsets(&self, checks: &mut Vec<Check>) -> anyhow::Result<()> {
        for cfo_hz in [-20_000.0, 0.0, 20_000.0] {
            let readings = self.probes(ChannelConfig { cfo_hz, ..awgn(15.0) }, Mode::Normal, 20)?;
            let median = median(readings.iter().map(|reading| reading.cfo_hz));
            let what = format!("carrier offset, set to {cfo_hz} Hz, 15 dB");
            checks.push(Check::near("A1", what, median, cfo_hz, 50.0, "Hz"));
        }
        for ppm in [-20.0, 20.0] {
            let channel = ChannelConfig { sampling_offset_ppm: ppm, ..awgn(30.0) };
            let readings = self.probes(channel, Mode::Normal, 20)?;
            let median = median(readings.iter().map(|reading| reading.clock_offset_ppm));
            let what = format!("clock offset, set to {ppm} ppm, 30 dB");
            checks.push(Check::near("A2", what, median, ppm, 2.0, "ppm"));
        }
        Ok(())
    }

    fn estimates(&self, checks: &mut Vec<Check>) -> anyhow::Result<()> {
        for snr_db in [0.0, 10.0, 20.0, 30.0] {
            let readings = self.probes(awgn(snr_db), Mode::Normal, 20)?;
            let mean = mean(readings.iter().map(|reading| reading.snr_db));
            checks.push(Check::near(
                "A3",
                format!("SNR as estimated, set to {snr_db} dB"),
                mean,
                snr_db,
                0.5,
                "dB",
            ));
        }
        let readings = self.probes(ChannelConfig { snr_db: None, ..awgn(0.0) }, Mode::Normal, 20)?;
        let evm = Point::new(0.0, 20, &readings).evm_percent;
        checks.push(Check::at_most("A4", "EVM without noise", evm, 1.0, "%"));
        Ok(())
    }

    fn delivery(&self, checks: &mut Vec<Check>) -> anyhow::Result<()> {
        let intact = |readings: &[Reading], sent: usize| {
            Some(100.0 * readings.iter().filter(|reading| reading.intact).count() as f64 / sent as f64)
        };
        let readings = self.probes(awgn(3.0), Mode::Normal, 100)?;
        checks.push(Check::at_least("A5", "QPSK 1/2 intact at 3 dB", intact(&readings, 100), 98.0, "%"));
        let readings = self.probes(awgn(-13.0), Mode::Robust, 40)?;
        let heard = 100.0 * readings.len() as f64 / 40.0;
        checks.push(Check::at_least("A6", "robust frames heard at −13 dB", Some(heard), 95.0, "%"));
        let channel = ChannelConfig {
            profile: "multipath".parse()?,
            cfo_hz: 3000.0,
            sampling_offset_ppm: 10.0,
            ..awgn(15.0)
        };
        let readings = self.probes(channel, Mode::Normal, 100)?;
        checks.push(Check::at_least(
            "A7",
            "QPSK 1/2 intact over multipath, 15 dB, 3 kHz, 10 ppm",
            intact(&readings, 100),
            98.0,
            "%",
        ));
        Ok(())
    }

    /// The air's noise at 30 dB stands for a receiver whose noise figure follows from the input power that is assumed.
    fn levels(&self, checks: &mut Vec<Check>) -> anyhow::Result<()> {
        const SNR_DB: f64 = 30.0;
        const INPUT_DBM: f64 = -70.0;
        let numerology = flags::numerology(self.config)?;
        let plan = Plan { input_dbm: Some(INPUT_DBM), ..Plan::default() };
        let found =
            pair::emulated(self.config, awgn(SNR_DB), LEAD, self.through, |session: &mut Session| {
                Calibration::measure(session, &numerology, &plan)
            })?;
        let occupied_hz = numerology.subcarriers() as f64 * numerology.subcarrier_spacing_hz();
        let expected = INPUT_DBM - SNR_DB - (THERMAL_DBM_PER_HZ + 10.0 * occupied_hz.log10());
        checks.push(Check::near(
            "A8",
            format!("noise figure by a sweep of levels, {INPUT_DBM} dBm at {SNR_DB} dB"),
            found.noise_figure_db,
            expected,
            0.5,
            "dB",
        ));
        let span = found.usable_db.map(|(low, high)| high - low);
        checks.push(Check::at_least(
            "A9",
            format!("usable range of levels at {SNR_DB} dB"),
            span,
            24.0,
            "dB",
        ));
        checks.push(Check::at_most("A10", "samples lost in that", Some(found.lost_samples as f64), 0.0, ""));
        Ok(())
    }

    /// Five bursts, each behind two million samples of noise.
    fn false_alarms(&self, checks: &mut Vec<Check>) -> anyhow::Result<()> {
        let count = |session: &mut Session| -> Result<_, RadioError> {
            let readings = session.probe(Mode::Normal, 0.0, 5)?;
            Ok((readings.len(), session.strangers()))
        };
        let (heard, strangers) = pair::emulated(self.config, awgn(10.0), 2_000_000, self.through, count)?;
        checks.push(Check::at_most(
            "A11",
            "false frames in 10 million samples of noise",
            Some(strangers as f64),
            0.0,
            "",
        ));
        checks.push(Check::at_least(
            "A12",
            "probes heard behind that noise, of 5",
            Some(heard as f64),
            5.0,
            "",
        ));
        Ok(())
    }
}

/// White noise at an SNR.
fn awgn(snr_db: f64) -> ChannelConfig {
    ChannelConfig { snr_db: Some(snr_db), seed: 1, ..ChannelConfig::default() }
}
