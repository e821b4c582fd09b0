//! Quality of `ae`, `vae` or `vscc` over ideal noise: a table of PSNR, SSIM and MS-SSIM over a folder of pictures.
//!
//! `cargo run --release -p semcast-models --example quality -- FOLDER [--system ae|vae|vscc]
//! [--variance fixed|transmitted] [--weights FILE] [--snr 0,5,10,15] [--symbols 48] [--limit N]`

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "a folder of pictures is named on the command line")]

use num_complex::Complex32;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::file::decode_picture;
use semcast_common::message::{SystemId, VarianceChoice};
use semcast_models::ae::{Autoencoder, weights};
use semcast_models::metrics::{ms_ssim, psnr_db, similarity_db, ssim};
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
    let default = match id {
        SystemId::Classical => return Err("classical sends no symbols of its own".into()),
        SystemId::Ae => weights::DEFAULT,
        SystemId::Vae => weights::VAE,
        SystemId::Vscc => weights::VSCC,
    };
    let weights = option("--weights").map_or(Ok(default.to_vec()), std::fs::read)?;
    let device = open_device(DeviceChoice::Cpu)?;
    let system = match id {
        SystemId::Ae => Autoencoder::with_weights(weights, &device)?,
        _ => Autoencoder::variational(id, weights, variance, &device)?,
    };
    let folder = arguments.first().ok_or("name a folder of pictures")?;
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let pictures: Vec<_> =
        paths.iter().filter_map(|path| decode_picture(&std::fs::read(path).ok()?).ok()).take(limit).collect();
    println!("| CBR | SNR dB | PSNR dB | SSIM | MS-SSIM | MS-SSIM dB |\n|---|---|---|---|---|---|");
    for &symbols in &rates {
        for &snr_db in &snrs {
            let variance = 10.0_f32.powf(-snr_db / 10.0);
            let mut sums = [0.0; 4];
            for (index, picture) in pictures.iter().enumerate() {
                let mut rng = StdRng::seed_from_u64(index as u64);
                let (side, mut sent) =
                    system.modulate(picture, (symbols * picture.values() as f32 / 768.0) as usize)?;
                for symbol in &mut sent {
                    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
                    *symbol += Complex32::new(normal(), normal()) * (variance / 2.0).sqrt();
                }
                let arrived = system.demodulate(&side, &sent, &vec![variance; sent.len()])?;
                let multi_scale = ms_ssim(picture, &arrived)?;
                let row = [
                    psnr_db(picture, &arrived)?,
                    ssim(picture, &arrived)?,
                    multi_scale,
                    similarity_db(multi_scale),
                ];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / pictures.len() as f64);
            }
            let [psnr, structure, scales, scales_db] = sums;
            println!(
                "| 1/{:.0} | {snr_db} | {psnr:.2} | {structure:.4} | {scales:.4} | {scales_db:.2} |",
                768.0 / symbols
            );
        }
    }
    Ok(())
}
