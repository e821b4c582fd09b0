//! Quality of `ae`, `vae` or `vscc` over ideal noise: a table of PSNR, SSIM and MS-SSIM over a folder of pictures.
//!
//! `cargo run --release -p semcast-models --example quality -- FOLDER [--system ae|vae|vscc]
//! [--variance fixed|transmitted] [--weights FILE] [--snr 0,5,10,15] [--symbols 48] [--limit N]
//! [--transform taef2 --transform-weights FOLDER] [--save FOLDER]`
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
use semcast_models::metrics::{ms_ssim, psnr_db, similarity_db, ssim};
use semcast_models::taef2::{self, Taef2};
use semcast_models::{DeviceChoice, open_device};

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
    let weights = option("--weights").map(std::fs::read).transpose()?;
    match option("--transform").as_deref() {
        None | Some("convolutional") => {
            let default = match id {
                SystemId::Classical | SystemId::SctModular | SystemId::SctIntegrated => {
                    return Err(format!("{id}: see `semcast evaluate --ideal`").into());
                }
                SystemId::Ae => weights::DEFAULT,
                SystemId::Vae => weights::VAE,
                SystemId::Vscc => weights::VSCC,
            };
            let weights = weights.unwrap_or_else(|| default.to_vec());
            let system = match id {
                SystemId::Ae => Autoencoder::with_weights(weights, &device)?,
                _ => Autoencoder::variational(id, weights, variance, &device)?,
            };
            table(&system, &pictures, &rates, &snrs, save.as_deref())
        }
        Some("taef2") => {
            let folder = PathBuf::from(option("--transform-weights").ok_or("--transform-weights?")?);
            let read = |name: &str| std::fs::read(folder.join(name));
            let taef2 = Taef2::new([read("taef2_encoder.pth")?, read("taef2_decoder.pth")?], &device.device)?;
            let weights = weights.unwrap_or_else(|| taef2::weights::DEFAULT.to_vec());
            table(
                &Autoencoder::taef2_with_weights(taef2, weights, &device)?,
                &pictures,
                &rates,
                &snrs,
                save.as_deref(),
            )
        }
        Some(other) => Err(format!("--transform {other}: convolutional or taef2").into()),
    }
}

/// Prints a row for each rate and SNR.
fn table<T: Transform>(
    system: &Autoencoder<T>,
    pictures: &[(OsString, Picture)],
    rates: &[f32],
    snrs: &[f32],
    save: Option<&Path>,
) -> Result<(), Box<dyn std::error::Error>> {
    println!("| CBR | SNR dB | PSNR dB | SSIM | MS-SSIM | MS-SSIM dB |\n|---|---|---|---|---|---|");
    for &symbols in rates {
        let mut sums = vec![[0.0; 4]; snrs.len()];
        for (index, (name, picture)) in pictures.iter().enumerate() {
            let (side, sent) =
                system.modulate(picture, (symbols * picture.values() as f32 / 768.0) as usize)?;
            for (sums, snr_db) in sums.iter_mut().zip(snrs) {
                let variance = 10.0_f32.powf(-snr_db / 10.0);
                let mut rng = StdRng::seed_from_u64(index as u64);
                let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
                let mut noise = || Complex32::new(normal(), normal()) * (variance / 2.0).sqrt();
                let received: Vec<_> = sent.iter().map(|symbol| symbol + noise()).collect();
                let arrived = system.demodulate(&side, &received, &vec![variance; received.len()])?;
                if let Some(folder) = save {
                    let folder = folder.join(format!("{:.0}-{snr_db}dB", 768.0 / symbols));
                    std::fs::create_dir_all(&folder)?;
                    std::fs::write(folder.join(name).with_extension("png"), encode_png(&arrived)?)?;
                }
                let multi_scale = ms_ssim(picture, &arrived)?;
                let row = [
                    psnr_db(picture, &arrived)?,
                    ssim(picture, &arrived)?,
                    multi_scale,
                    similarity_db(multi_scale),
                ];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / pictures.len() as f64);
            }
        }
        for ([psnr, structure, scales, scales_db], snr_db) in sums.iter().zip(snrs) {
            println!(
                "| 1/{:.0} | {snr_db} | {psnr:.2} | {structure:.4} | {scales:.4} | {scales_db:.2} |",
                768.0 / symbols
            );
        }
    }
    Ok(())
}
