//! Picture quality: how near a received picture is to the one that was sent.
//!
//! In → out: two pictures of the same size → a figure.
//!
//! - [`psnr_db`]: peak signal-to-noise ratio over all RGB values.
//! - [`ssim`]: structural similarity, [`ms_ssim`]: the same over five scales; the mean over the three RGB channels.
//!
//! They are our own because Burn's come with its training crate, whose dependencies (dashboards, data sets) would
//! add minutes to every clean build for three formulas.
//!
//! 1. Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error visibility to
//!    structural similarity. IEEE TIP 13(4), 2004: eq. 13; Gaussian window of 11 × 11, σ = 1.5.
//! 2. Z. Wang, E. P. Simoncelli, A. C. Bovik: Multi-scale structural similarity for image quality assessment.
//!    Asilomar 2003: eq. 7, exponents of section 3.2.

mod structure;

use semcast_common::content::Picture;

pub use structure::{ms_ssim, ssim};

/// Why two pictures cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("pictures of {0:?} and {1:?} pixels cannot be compared: they must be of one size")]
pub struct SizesDiffer((u32, u32), (u32, u32));

fn same_size(first: &Picture, second: &Picture) -> Result<(), SizesDiffer> {
    let size = |picture: &Picture| (picture.width(), picture.height());
    if size(first) == size(second) { Ok(()) } else { Err(SizesDiffer(size(first), size(second))) }
}

/// Peak signal-to-noise ratio in dB, over all values of all channels; infinite for equal pictures.
pub fn psnr_db(first: &Picture, second: &Picture) -> Result<f64, SizesDiffer> {
    same_size(first, second)?;
    let squares: u64 =
        first.rgb().iter().zip(second.rgb()).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    Ok(10.0 * (255.0_f64.powi(2) * first.values() as f64 / squares as f64).log10())
}

/// A similarity such as MS-SSIM on a scale of decibels: `-10·log10(1 - similarity)`.
pub fn similarity_db(similarity: f64) -> f64 {
    -10.0 * (1.0 - similarity).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn textured(width: u32, height: u32) -> Picture {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let wave = (f64::from(x) * 0.31).sin() * (f64::from(y) * 0.17).cos();
                let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(97) >> 27;
                rgb.extend([
                    (128.0 + 90.0 * wave) as u8 + noise as u8 % 32,
                    (x * 255 / width) as u8,
                    (y % 256) as u8,
                ]);
            }
        }
        Picture::new(width, height, rgb).unwrap()
    }

    /// The distortion of the reference table: 16 grey levels a channel.
    fn quantised(picture: &Picture) -> Picture {
        let rgb = picture.rgb().iter().map(|value| (value >> 4 << 4) + 8).collect();
        Picture::new(picture.width(), picture.height(), rgb).unwrap()
    }

    #[test]
    fn equal_pictures_are_alike() {
        for (width, height) in [(1, 1), (5, 40), (64, 48), (200, 180)] {
            let picture = textured(width, height);
            assert_eq!(psnr_db(&picture, &picture).unwrap(), f64::INFINITY);
            assert!((ssim(&picture, &picture).unwrap() - 1.0).abs() < 1e-6);
            assert!((ms_ssim(&picture, &picture).unwrap() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn psnr_of_a_constant_error() {
        let picture = Picture::new(4, 4, vec![100; 48]).unwrap();
        let brighter = Picture::new(4, 4, vec![110; 48]).unwrap();
        assert!((psnr_db(&picture, &brighter).unwrap() - 28.1308).abs() < 1e-3);
    }

    #[test]
    fn ssim_of_two_flat_pictures_is_that_of_their_brightness() {
        let picture = Picture::new(32, 32, vec![100; 3 * 32 * 32]).unwrap();
        let brighter = Picture::new(32, 32, vec![150; 3 * 32 * 32]).unwrap();
        // Reference 1, eq. 6 with C1 = (0.01 · 255)²; contrast and structure are one.
        let expected = (2.0 * 100.0 * 150.0 + 6.5025) / (100.0_f64.powi(2) + 150.0_f64.powi(2) + 6.5025);
        assert!((ssim(&picture, &brighter).unwrap() - expected).abs() < 2e-4);
    }

    #[test]
    fn more_distortion_is_less_similar() {
        let picture = textured(200, 180);
        let inverted = picture.rgb().iter().map(|value| 255 - value).collect();
        let inverted = Picture::new(200, 180, inverted).unwrap();
        let coarse = quantised(&picture);
        for metric in [ssim, ms_ssim] {
            let (near, far) = (metric(&picture, &coarse).unwrap(), metric(&picture, &inverted).unwrap());
            assert!(far < near && near < 1.0, "{near} {far}");
        }
    }

    #[test]
    fn different_sizes_are_an_error() {
        assert!(psnr_db(&textured(4, 5), &textured(5, 4)).is_err());
        assert!(ssim(&textured(4, 5), &textured(5, 4)).is_err());
    }

    /// Against independent implementations, on the pictures of the Kodak set: `SEMCAST_KODAK=folder` (1.png …).
    #[test]
    #[ignore = "needs the Kodak pictures, a folder named by SEMCAST_KODAK"]
    #[expect(clippy::disallowed_methods, reason = "the pictures are not ours to commit")]
    fn kodak_reference_values() {
        let folder = std::path::PathBuf::from(std::env::var("SEMCAST_KODAK").expect("SEMCAST_KODAK is set"));
        for (index, psnr, similarity, multi_scale) in [
            (1, 34.9389, 0.950717, 0.991611),
            (3, 34.5838, 0.887824, 0.962225),
            (5, 34.7139, 0.943317, 0.991940),
            (8, 34.6344, 0.950946, 0.992750),
            (13, 34.6498, 0.957840, 0.992960),
            (19, 34.7945, 0.903371, 0.974843),
            (20, 33.2266, 0.931556, 0.983405),
            (23, 34.6627, 0.874462, 0.964197),
        ] {
            let bytes = std::fs::read(folder.join(format!("{index}.png"))).unwrap();
            let picture = semcast_common::content::file::decode_picture(&bytes).unwrap();
            let coarse = quantised(&picture);
            assert!((psnr_db(&picture, &coarse).unwrap() - psnr).abs() < 1e-3, "PSNR of {index}");
            let found = ssim(&picture, &coarse).unwrap();
            assert!((found - similarity).abs() < 1e-3, "SSIM of {index}: {found}");
            let found = ms_ssim(&picture, &coarse).unwrap();
            assert!((found - multi_scale).abs() < 1e-3, "MS-SSIM of {index}: {found}");
        }
    }
}
