//! `semcast models bench`: how long each half of each network takes on each device.

use std::{
    fmt,
    time::{Duration, Instant},
};

use clap::{Args as ClapArgs, ValueEnum};
use semcast_common::intent::Intent;
use semcast_common::{
    content::{Content, Picture, test_card},
    message::{Payload, ReceivedFeature, ReceivedMessage, SemanticMessage, SystemId},
};
use semcast_models::{
    Budget, DeviceChoice, OpenDevice, System, SystemOptions, built_in_models, open_device, system,
};
use serde::Serialize;

use crate::figures::Printer;

/// Complex symbols per value of the picture, the default of `semcast send`.
const CBR: f64 = 1.0 / 16.0;
/// Noise variance of the symbols that are decoded.
const NOISE_VARIANCE: f32 = 0.1;
/// Fewest repetitions, however long they take.
const FEWEST: usize = 5;

/// Measure how long encoder and decoder of each network take, after warming up: median and spread, in ms, and
/// pictures a second
///
/// A half is all that there is between picture and symbols, tiling and rates included. One picture at a time.
#[derive(ClapArgs)]
pub struct Args {
    /// Where: auto, cpu, wgpu, or all that there are
    #[arg(long, value_enum, default_value_t = Where::All)]
    device: Where,
    /// Size of the picture; may be repeated, by default 256x256 and 768x512
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Vec<Size>,
    /// How long to repeat each half, 0.01 to 600 s
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// One JSON object a figure
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Where {
    Auto,
    Cpu,
    Wgpu,
    All,
}

#[derive(Clone, Copy)]
struct Size {
    width: u32,
    height: u32,
}

fn size(text: &str) -> Result<Size, String> {
    let range = || "must be WIDTHxHEIGHT, each 1 to 4096, such as 768x512".to_string();
    let (width, height) = text.split_once('x').ok_or_else(range)?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side)).ok_or_else(range);
    Ok(Size { width: side(width)?, height: side(height)? })
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number from 0.01 to 600".into()),
    }
}

/// How long one half of a network takes.
#[derive(Serialize)]
struct Figure {
    device: String,
    system: SystemId,
    half: &'static str,
    width: u32,
    height: u32,
    median_ms: f64,
    p10_ms: f64,
    p90_ms: f64,
    best_ms: f64,
    pictures_per_s: f64,
    repetitions: usize,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = format!("{}x{}", self.width, self.height);
        write!(
            f,
            "{:12} {:6}  {size:>9}  {:8.1} ms  (10 to 90 %: {:.1} to {:.1}, best {:.1})  {:7.2} pictures/s  {}",
            self.system.name(),
            self.half,
            self.median_ms,
            self.p10_ms,
            self.p90_ms,
            self.best_ms,
            self.pictures_per_s,
            self.device
        )
    }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let printer = Printer { json: args.json };
    let sizes = match args.size {
        sizes if sizes.is_empty() => vec![Size { width: 256, height: 256 }, Size { width: 768, height: 512 }],
        sizes => sizes,
    };
    for device in devices(args.device)? {
        for model in built_in_models() {
            let mut network = system(model.system, &device, &SystemOptions::default())?;
            for &size in &sizes {
                for figure in measure(network.as_mut(), &device, size, Duration::from_secs_f64(args.seconds))?
                {
                    printer.print(&figure)?;
                }
            }
        }
    }
    Ok(())
}

/// The devices that were asked for; of all, those that are there.
#[expect(clippy::print_stderr, reason = "a device that is left out is told beside the results")]
fn devices(which: Where) -> anyhow::Result<Vec<OpenDevice>> {
    let device = match which {
        Where::Auto => open_device(DeviceChoice::Auto)?,
        Where::Cpu => open_device(DeviceChoice::Cpu)?,
        Where::Wgpu => open_device(DeviceChoice::Wgpu)?,
        Where::All => {
            let mut all = vec![open_device(DeviceChoice::Cpu)?];
            match open_device(DeviceChoice::Wgpu) {
                Ok(device) => all.push(device),
                Err(error) => eprintln!("without wgpu: {error}"),
            }
            return Ok(all);
        }
    };
    if let Some(reason) = &device.fallback {
        eprintln!("on the CPU: {reason}");
    }
    Ok(vec![device])
}

fn measure(
    network: &mut dyn System,
    device: &OpenDevice,
    size: Size,
    time: Duration,
) -> anyhow::Result<[Figure; 2]> {
    let content = Content::Picture(picture(size)?);
    let symbols = (CBR * content.values() as f64).ceil() as usize;
    let budget = Budget::new(symbols, symbols / 4);
    // Kernels are chosen and compiled at the first use of a size.
    let received = over_the_air(network.encode(&content, budget, &Intent::default())?);
    network.decode(&received)?;
    let encoding = repeat(time, || network.encode(&content, budget, &Intent::default()).map(drop))?;
    let decoding = repeat(time, || network.decode(&received).map(drop))?;
    let figure = |half, mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let microseconds = |ms: f64| (1e3 * ms).round() / 1e3;
        let at = |share: f64| microseconds(times[(share * (times.len() - 1) as f64).round() as usize]);
        Figure {
            device: device.description.clone(),
            system: network.id(),
            half,
            width: size.width,
            height: size.height,
            median_ms: at(0.5),
            p10_ms: at(0.1),
            p90_ms: at(0.9),
            best_ms: at(0.0),
            pictures_per_s: microseconds(1e3 / at(0.5)),
            repetitions: times.len(),
        }
    };
    Ok([figure("encode", encoding), figure("decode", decoding)])
}

/// How long each repetition took, in ms.
fn repeat<E>(time: Duration, mut work: impl FnMut() -> Result<(), E>) -> Result<Vec<f64>, E> {
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() < FEWEST || begun.elapsed() < time {
        let start = Instant::now();
        work()?;
        times.push(1e3 * start.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// The message as it arrives: everything there, under even noise.
fn over_the_air(message: SemanticMessage) -> ReceivedMessage {
    let arrived = |payload: Payload| match payload {
        Payload::Digital(bytes) => ReceivedFeature::Digital { bytes, missing: Vec::new() },
        Payload::Analog(symbols) => {
            ReceivedFeature::Analog { noise_variance: vec![NOISE_VARIANCE; symbols.len()], symbols }
        }
    };
    ReceivedMessage {
        system: message.system,
        model: message.model,
        side: message.side,
        features: message.features.into_iter().map(|feature| arrived(feature.payload)).collect(),
    }
}

/// The test card from its upper left corner on, again and again.
fn picture(size: Size) -> anyhow::Result<Picture> {
    let card = test_card::draw(1)?;
    let (width, height) = (card.width() as usize, card.height() as usize);
    let mut rgb = Vec::with_capacity(3 * size.width as usize * size.height as usize);
    for y in 0..size.height as usize {
        let row = &card.rgb()[3 * width * (y % height)..][..3 * width];
        rgb.extend(row.iter().copied().cycle().take(3 * size.width as usize));
    }
    Ok(Picture::new(size.width, size.height, rgb)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_or_refused() {
        let parsed = size("768x512").map(|size| (size.width, size.height));
        assert_eq!(parsed, Ok((768, 512)));
        for wrong in ["768", "0x5", "5x", "9999x9999", "-1x3"] {
            assert!(size(wrong).is_err_and(|error| error.contains("1 to 4096")), "{wrong}");
        }
    }

    #[test]
    fn a_bench_measures_both_halves() {
        let device = open_device(DeviceChoice::Cpu).expect("the CPU is always there");
        let mut network = system(SystemId::Ae, &device, &SystemOptions::default())
            .expect("a system that comes with the program");
        let figures = measure(network.as_mut(), &device, Size { width: 40, height: 24 }, Duration::ZERO)
            .expect("a picture that can be sent");
        assert_eq!(figures.each_ref().map(|figure| figure.half), ["encode", "decode"]);
        for figure in figures {
            assert_eq!(figure.repetitions, FEWEST);
            assert!(figure.best_ms > 0.0 && figure.p10_ms <= figure.median_ms, "{figure}");
        }
    }
}
