//! `semcast radio spectrum`: where the power of what a radio hears lies.

use std::time::{Duration, Instant};

use clap::{Args as ClapArgs, ValueEnum};
use semcast_common::config::Overrides;
use semcast_phy::radio::{RadioSource as _, soapy::Direction, spectrum::Spectrum};
use serde::Serialize;

use crate::{exit::Failure, flags, radio_choice};

/// Rows of the picture in a terminal.
const ROWS: usize = 16;
/// Range of the picture in dB.
const RANGE_DB: f64 = 64.0;

/// Show the spectrum of what a radio hears
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    radio: radio_choice::RadioChoice,
    /// Bins over the sampled band
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    bins: u32,
    /// Samples to average
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(64..=10_000_000_000))]
    samples: u64,
    /// Longest time to wait for them, in s
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    wait: f64,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Form::Terminal)]
    format: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A picture
    Terminal,
    /// One object
    Json,
    /// A line a bin
    Csv,
}

/// A spectrum with its axis.
#[derive(Serialize)]
struct Result {
    radio: String,
    sample_rate_hz: f64,
    centre_hz: f64,
    samples: u64,
    lost_samples: u64,
    peak: f32,
    mean_dbfs: f64,
    frequency_hz: Vec<f64>,
    power_dbfs: Vec<f64>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.radio.add_to(Direction::Receive, &mut overrides);
    super::quietly(&args.source, &mut overrides);
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let radio = radio_choice::radio(&config, Direction::Receive)?;
    if args.radio.dry_run {
        return radio_choice::dry_run(&radio, Direction::Receive);
    }
    let rate = config.radio.sample_rate_hz;
    let mut source = radio.source(rate)?;
    let mut spectrum = Spectrum::new(args.bins as usize);
    let (mut samples, mut lost) = (Vec::new(), 0);
    let until = Instant::now() + Duration::try_from_secs_f64(args.wait).unwrap_or(Duration::MAX / 4);
    while spectrum.samples() < args.samples && Instant::now() < until {
        samples.clear();
        lost += source.receive(&mut samples)?.lost_before;
        spectrum.push(&samples);
    }
    let power_dbfs = spectrum.dbfs();
    if power_dbfs.is_empty() {
        return Err(Failure::Unavailable(format!(
            "no samples within {} s (an air that is not paced has none between bursts)",
            args.wait
        ))
        .into());
    }
    let centre_hz = config.soapy.frequency_hz.unwrap_or(0.0);
    let bins = power_dbfs.len();
    let frequency = |bin: usize| centre_hz + rate * (bin as f64 / bins as f64 - 0.5);
    let result = Result {
        radio: config.receiver.radio.clone().unwrap_or_else(|| format!("udp:{}", config.air.receive_addr)),
        sample_rate_hz: rate,
        centre_hz,
        samples: spectrum.samples(),
        lost_samples: lost,
        peak: spectrum.peak(),
        mean_dbfs: 10.0 * power_dbfs.iter().map(|db| 10f64.powf(db / 10.0)).sum::<f64>().log10(),
        frequency_hz: (0..bins).map(frequency).collect(),
        power_dbfs,
    };
    let text = match args.format {
        Form::Json => serde_json::to_string(&result)? + "\n",
        Form::Csv => {
            let lines = result.frequency_hz.iter().zip(&result.power_dbfs);
            let lines: String = lines.map(|(hz, db)| format!("{hz},{db:.2}\n")).collect();
            format!("frequency_hz,power_dbfs\n{lines}")
        }
        Form::Terminal => picture(&result),
    };
    flags::print_text(&text);
    Ok(())
}

/// Columns of blocks, an eighth of a row fine.
fn picture(result: &Result) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    // A terminal is not wider: neighbouring bins are added up.
    let together = result.power_dbfs.len().div_ceil(96);
    let columns: Vec<f64> = result
        .power_dbfs
        .chunks(together)
        .map(|bins| 10.0 * bins.iter().map(|db| 10f64.powf(db / 10.0)).sum::<f64>().log10())
        .collect();
    let top = columns.iter().copied().fold(f64::MIN, f64::max).ceil();
    let row_db = RANGE_DB / ROWS as f64;
    let mut text = String::new();
    for row in 0..ROWS {
        let floor = top - row_db * (row + 1) as f64;
        text += &format!("{floor:>7.0} │");
        text.extend(columns.iter().map(|db| BLOCKS[((db - floor) / row_db * 8.0).clamp(0.0, 8.0) as usize]));
        text.push('\n');
    }
    let mhz = |hz: f64| format!("{:.3}", hz / 1e6);
    let (low, high) =
        (result.centre_hz - result.sample_rate_hz / 2.0, result.centre_hz + result.sample_rate_hz / 2.0);
    let width = columns.len();
    text += &format!("{:>7} └{}\n", "dBFS", "─".repeat(width));
    text += &format!(
        "{:>9}{:<half$}{:>rest$} MHz\n",
        "",
        mhz(low),
        mhz(high),
        half = width / 2,
        rest = width - width / 2
    );
    text += &format!(
        "mean {:.1} dBFS, peak {:.3}, {} samples, {} lost, {}\n",
        result.mean_dbfs, result.peak, result.samples, result.lost_samples, result.radio
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_column_reaches_the_top() {
        let mut power_dbfs = vec![-200.0; 200];
        power_dbfs[100] = -10.0;
        let result = Result {
            radio: "udp:a:1".into(),
            sample_rate_hz: 2e6,
            centre_hz: 100e6,
            samples: 1,
            lost_samples: 0,
            peak: 0.5,
            mean_dbfs: -10.0,
            frequency_hz: Vec::new(),
            power_dbfs,
        };
        let text = picture(&result);
        let first = text.lines().next().expect("a line");
        assert_eq!(first.matches('█').count(), 1, "{text}");
        assert!(text.contains("99.000") && text.contains("101.000"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    }
}
