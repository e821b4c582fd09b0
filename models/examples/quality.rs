//! Quality of `ae`, `vae` or `vscc` over ideal noise: a table of PSNR, SSIM, MS-SSIM and LPIPS over a folder of pictures.
//!
//! `cargo run --release -p semcast-models --example quality -- FOLDER [--system ae|ae-ms-ssim|vae|vscc|classical]
//! [--variance fixed|transmitted] [--weights FILE] [--snr 0,5,10,15] [--symbols 48] [--limit N]
//! [--transform taef2 --transform-weights FOLDER] [--save FOLDER] [--lpips-backbone FILE --lpips-linear FILE]`
//!
//! Rates and thumbnail are taken to arrive, and cost as many symbols as carry them at the capacity of the channel.
//! `classical` sends no symbols: it is an image codec whose bytes are as many as the same symbols carry at the capacity of
//! the channel, log2(1 + SNR) bits each, without an error. No code reaches that.
//!
//! With `--save`, what arrives is written as PNG, a folder for each rate and SNR, for `semcast metrics`.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "a folder of pictures is named on the command line")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use num_complex::Complex32;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::Picture;
use semcast_common::content::file::{decode_picture, encode_png};
use semcast_common::message::{SystemId, VarianceChoice};
use semcast_models::ae::transform::Transform;
use semcast_models::ae::{Autoencoder, weights};
use semcast_models::classical;
use semcast_models::metrics::{Backbone, Lpips, PictureMetrics, PictureQuality, similarity_db};
use semcast_models::taef2::{self, Taef2};
use semcast_models::{Budget, DeviceChoice, open_device};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).cloned();
    let numbers = |text: String| -> Result<Vec<f32>, _> { text.split(',').map(str::parse::<f32>).collect() };
    let snrs = numbers(option("--snr").unwrap_or("0,5,10,15".into()))?;
    let rates = numbers(option("--symbols").unwrap_or("48".into()))?;
    let limit: usize = option("--limit").map_or(Ok(usize::MAX), |text| text.parse())?;
    let id: SystemId = option("--system").unwrap_or("ae".into()).parse()?;
    let variance = match option("--variance").as_deref() {
        None | Some("fixed") => VarianceChoice::Fixed,
        Some("transmitted") => VarianceChoice::Transmitted,
        Some(other) => return Err(format!("--variance {other}: one of fixed, transmitted").into()),
    };
    let folder = arguments.first().ok_or("name a folder of pictures")?;
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let named = |path: &PathBuf| {
        Some((path.file_stem()?.to_os_string(), decode_picture(&std::fs::read(path).ok()?).ok()?))
    };
    let pictures: Vec<_> = paths.iter().filter_map(named).take(limit).collect();
    let save = option("--save").map(PathBuf::from);
    let device = open_device(DeviceChoice::Cpu)?;
    let lpips = match (option("--lpips-backbone"), option("--lpips-linear")) {
        (Some(backbone), Some(linear)) => {
            let path = PathBuf::from(backbone);
            let (param, bin) = (std::fs::read(&path)?, std::fs::read(path.with_extension("bin"))?);
            Some(Lpips::new(Backbone::from_ncnn(&param, &bin, &device)?, std::fs::read(linear)?)?)
        }
        _ => None,
    };
    let race = Race { pictures, rates, snrs, save, metrics: PictureMetrics::new(lpips) };
    let weights = option("--weights").map(std::fs::read).transpose()?;
    match option("--transform").as_deref() {
        None | Some("convolutional") => {
            let default = match id {
                SystemId::Classical => return race.run(at_capacity),
                SystemId::SctModular | SystemId::SctIntegrated => {
                    return Err(format!("{id}: see `semcast evaluate --ideal`").into());
                }
                SystemId::Ae => weights::DEFAULT,
                SystemId::AeMsSsim => weights::MS_SSIM,
                SystemId::Vae => weights::VAE,
                SystemId::Vscc => weights::VSCC,
            };
            let weights = weights.unwrap_or_else(|| default.to_vec());
            let system = match id {
                SystemId::Ae => Autoencoder::with_weights(weights, &device)?,
                SystemId::AeMsSsim => Autoencoder::for_ms_ssim(weights, &device)?,
                _ => Autoencoder::variational(id, weights, variance, &device)?,
            };
            race.run(|picture, symbols, snr_db, seed| over_noise(&system, picture, symbols, snr_db, seed))
        }
        Some("taef2") => {
            let folder = PathBuf::from(option("--transform-weights").ok_or("--transform-weights?")?);
            let read = |name: &str| std::fs::read(folder.join(name));
            let taef2 = Taef2::new([read("taef2_encoder.pth")?, read("taef2_decoder.pth")?], &device.device)?;
            let weights = weights.unwrap_or_else(|| taef2::weights::DEFAULT.to_vec());
            let system = Autoencoder::taef2_with_weights(taef2, weights, &device)?;
            race.run(|picture, symbols, snr_db, seed| over_noise(&system, picture, symbols, snr_db, seed))
        }
        Some(other) => Err(format!("--transform {other}: convolutional or taef2").into()),
    }
}

type Arrived = Result<Picture, Box<dyn std::error::Error>>;

/// A picture over ideal noise.
fn over_noise<T: Transform>(
    system: &Autoencoder<T>,
    picture: &Picture,
    symbols: usize,
    snr_db: f32,
    seed: u64,
) -> Arrived {
    // Rates and thumbnail take their share of the symbols, at the capacity of the channel.
    let bits = symbols as f32 * (1.0 + 10.0_f32.powf(snr_db / 10.0)).log2();
    let budget = Budget { snr_db: Some(snr_db), ..Budget::new(symbols, (bits / 8.0) as usize) };
    let (side, sent) = system.modulate(picture, budget)?;
    let variance = 10.0_f32.powf(-snr_db / 10.0);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let mut noise = || Complex32::new(normal(), normal()) * (variance / 2.0).sqrt();
    let received: Vec<_> = sent.iter().map(|symbol| symbol + noise()).collect();
    Ok(system.demodulate(&side, &received, &vec![variance; received.len()])?)
}

/// A coded picture whose bytes all arrive, as many as the channel could carry at most.
fn at_capacity(picture: &Picture, symbols: usize, snr_db: f32, _seed: u64) -> Arrived {
    let bits = symbols as f32 * (1.0 + 10.0_f32.powf(snr_db / 10.0)).log2();
    let (side, bytes) = classical::fit::picture(picture, (bits / 8.0) as usize)?;
    Ok(classical::decode_picture(&side, bytes)?)
}

/// What is sent, how, and what is measured of it.
struct Race {
    pictures: Vec<(OsString, Picture)>,
    rates: Vec<f32>,
    snrs: Vec<f32>,
    save: Option<PathBuf>,
    metrics: PictureMetrics,
}

impl Race {
    /// Prints a row for each rate and SNR. `send`: picture, symbols, SNR in dB and a seed → what arrives.
    fn run(
        &self,
        send: impl Fn(&Picture, usize, f32, u64) -> Arrived,
    ) -> Result<(), Box<dyn std::error::Error>> {
        println!(
            "| CBR | SNR dB | PSNR dB | SSIM | MS-SSIM | MS-SSIM dB | LPIPS |\n|---|---|---|---|---|---|---|"
        );
        for &symbols in &self.rates {
            let ratio = 768.0 / symbols;
            for &snr_db in &self.snrs {
                let mut sums = [0.0; 5];
                for (index, (name, picture)) in self.pictures.iter().enumerate() {
                    let symbols = (symbols * picture.values() as f32 / 768.0) as usize;
                    let arrived = send(picture, symbols, snr_db, index as u64)?;
                    if let Some(folder) = &self.save {
                        save(&folder.join(format!("{ratio:.0}-{snr_db}dB")), name, &arrived)?;
                    }
                    let PictureQuality { psnr_db, ssim, ms_ssim, lpips } =
                        self.metrics.measure(picture, &arrived)?;
                    let row = [psnr_db, ssim, ms_ssim, similarity_db(ms_ssim), lpips.unwrap_or(f64::NAN)];
                    let pictures = self.pictures.len() as f64;
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / pictures);
                }
                let [psnr, structure, scales, scales_db, lpips] = sums;
                println!(
                    "| 1/{ratio:.0} | {snr_db} | {psnr:.2} | {structure:.4} | {scales:.4} | {scales_db:.2} | {lpips:.4} |"
                );
            }
        }
        Ok(())
    }
}

fn save(folder: &Path, name: &OsString, picture: &Picture) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(folder.join(name).with_extension("png"), encode_png(picture)?)?)
}
