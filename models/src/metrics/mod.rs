//! Picture quality: how near a received picture is to the one that was sent.
//!
//! In → out: two pictures of the same size → a figure; or two sets of pictures, or one picture, → a figure.
//!
//! - [`psnr_db`]: peak signal-to-noise ratio over all RGB values.
//! - [`ssim`]: structural similarity, [`ms_ssim`]: the same over five scales; the mean over the three RGB channels.
//! - [`Lpips`]: distance of the features of a network; its weights are named by the user.
//! - [`PictureMetrics`]: all of these at once.
//! - [`PictureMetrics::by_class`]: PSNR and LPIPS of what is of one class.
//! - [`Backbone`]: that network, SqueezeNet 1.1; [`sets`]: FID and KID of its features.
//! - [`Niqe`]: how natural a picture looks by itself; its parameters are named by the user.
//!
//! They are our own because Burn's come with its training crate, whose dependencies (dashboards, data sets) would
//! add minutes to every clean build for a few formulas, and because what it has of them downloads weights. DISTS is left
//! out: its published weights are for VGG-16, 59 MB.
//!
//! 1. Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error visibility to
//!    structural similarity. IEEE TIP 13(4), 2004: eq. 13; Gaussian window of 11 × 11, σ = 1.5.
//! 2. Z. Wang, E. P. Simoncelli, A. C. Bovik: Multi-scale structural similarity for image quality assessment.
//!    Asilomar 2003: eq. 7, exponents of section 3.2.
//! 3. R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang: The unreasonable effectiveness of deep features as a
//!    perceptual metric. CVPR 2018: eq. 1.
//! 4. M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter: GANs trained by a two time-scale update rule
//!    converge to a local Nash equilibrium. NeurIPS 2017: eq. 6.
//! 5. M. Bińkowski, D. J. Sutherland, M. Arbel, A. Gretton: Demystifying MMD GANs. ICLR 2018: section 4.
//! 6. A. Mittal, R. Soundararajan, A. C. Bovik: Making a "completely blind" image quality analyzer. IEEE Signal
//!    Processing Letters 20(3), 2013.
//! 7. A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schölkopf, A. Smola: A kernel two-sample test. JMLR 13, 2012: eq. 4.

mod by_class;
#[cfg(test)]
mod formula;
mod lpips;
pub(crate) mod ncnn;
mod niqe;
pub mod sets;
pub mod squeezenet;
pub(crate) mod structure;

use semcast_common::content::Picture;

pub use by_class::{ClassQuality, Labels};
pub use lpips::Lpips;
pub use niqe::Niqe;
pub use squeezenet::Backbone;
pub use structure::{ms_ssim, ssim};

use crate::foreign::ForeignError;

/// Why two pictures cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("pictures of {0:?} and {1:?} pixels cannot be compared: they must be of one size")]
pub struct SizesDiffer((u32, u32), (u32, u32));

/// Why a figure cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MetricError {
    /// Two pictures that are not of one size.
    #[error(transparent)]
    SizesDiffer(#[from] SizesDiffer),
    /// A picture that is too small.
    #[error(
        "a picture of {width} × {height} pixels is too small for {measure}: it needs {} × {} pixels",
        .least.0, .least.1
    )]
    TooSmall {
        /// What was to be measured.
        measure: &'static str,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The smallest width and height.
        least: (u32, u32),
    },
    /// A set that has too few pictures.
    #[error("a set of {given} pictures is too small to be compared: at least {least} are needed")]
    TooFew {
        /// How many it has.
        given: usize,
        /// How many are needed.
        least: usize,
    },
    /// A picture without texture.
    #[error("the picture has no texture to judge: fewer than two of its blocks vary")]
    Flat,
    /// The weights make no sense, however well they are formed.
    #[error("the computation did not give numbers: the weights are not what they should be")]
    NoNumbers,
}

/// Why weights or parameters that a user named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// ncnn's pair of files.
    #[error("ncnn files: {0}")]
    Ncnn(String),
    /// A checkpoint or an archive.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// Well formed, but for something else.
    #[error("these are other weights than expected: {0}")]
    Other(String),
}

/// How close a picture is to another one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PictureQuality {
    /// Peak signal-to-noise ratio, dB; infinite (`null` in JSON) for equal pictures.
    pub psnr_db: f64,
    /// Structural similarity, at most 1.
    pub ssim: f64,
    /// Multi-scale structural similarity, at most 1.
    pub ms_ssim: f64,
    /// LPIPS, from 0; not measured without weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpips: Option<f64>,
}

/// All measures of a pair of pictures.
#[derive(Clone, Debug, Default)]
pub struct PictureMetrics {
    lpips: Option<Lpips>,
}

impl PictureMetrics {
    /// PSNR, SSIM, MS-SSIM, and LPIPS if its weights are at hand.
    pub fn new(lpips: Option<Lpips>) -> Self {
        Self { lpips }
    }

    /// Measures a received picture against the one that was sent.
    pub fn measure(&self, sent: &Picture, received: &Picture) -> Result<PictureQuality, MetricError> {
        Ok(PictureQuality {
            psnr_db: psnr_db(sent, received)?,
            ssim: ssim(sent, received)?,
            ms_ssim: ms_ssim(sent, received)?,
            lpips: self.lpips.as_ref().map(|lpips| lpips.distance(sent, received)).transpose()?,
        })
    }
}

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
    fn all_figures_come_at_once_and_without_weights_lpips_is_left_out() {
        let picture = textured(60, 50);
        let quality = PictureMetrics::default().measure(&picture, &quantised(&picture)).unwrap();
        assert_eq!(quality.psnr_db, psnr_db(&picture, &quantised(&picture)).unwrap());
        let json = serde_json::to_value(quality).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["ms_ssim", "psnr_db", "ssim"]);
        let other = textured(50, 60);
        assert!(matches!(
            PictureMetrics::default().measure(&picture, &other),
            Err(MetricError::SizesDiffer(_))
        ));
    }

    #[test]
    fn sets_of_pictures_grow_apart_with_the_distortion() {
        let backbone = Backbone::random(1, &formula::cpu());
        // Pictures whose contrast is a part of what it was.
        let features = |part: u8, skip: u32| -> Vec<Vec<f32>> {
            let one = |at| {
                let picture = formula::picture(64 + 2 * at + skip, 64);
                let faded = picture.rgb().iter().map(|value| 128 - 128 / part + value / part).collect();
                backbone.pooled(&Picture::new(picture.width(), 64, faded).unwrap()).unwrap()
            };
            (0..16_u32).map(one).collect()
        };
        let original = features(1, 0);
        let kid = |other: &[Vec<f32>]| sets::kid(&original, other, 1).unwrap();
        for same in [kid(&original), kid(&features(1, 1))] {
            assert!(same.value.abs() < 3.0 * same.standard_error, "{same:?}");
        }
        let fid = |other: &[Vec<f32>]| sets::fid(&original, other).unwrap();
        let (mut last, mut last_fid) = (kid(&original), fid(&original));
        for part in [2, 8] {
            let faded = features(part, 0);
            let (apart, apart_fid) = (kid(&faded), fid(&faded));
            assert!(
                apart.value > last.value + last.standard_error.max(apart.standard_error),
                "{apart:?} {last:?}"
            );
            assert!(apart_fid > 1.2 * last_fid + 1e-3, "{apart_fid} {last_fid}");
            (last, last_fid) = (apart, apart_fid);
        }
    }

    #[test]
    fn different_sizes_are_an_error() {
        assert!(psnr_db(&textured(4, 5), &textured(5, 4)).is_err());
        assert!(ssim(&textured(4, 5), &textured(5, 4)).is_err());
    }

    /// Against independent implementations, on the pictures of the Kodak set: `SEMCAST_KODAK=folder` (1.png …), and the
    /// weights of LPIPS ([`lpips::tests::published`]).
    #[test]
    #[ignore = "needs pictures and weights: SEMCAST_KODAK, SEMCAST_SQUEEZENET, SEMCAST_LPIPS"]
    #[expect(clippy::disallowed_methods, reason = "the pictures are not ours to commit")]
    #[expect(clippy::print_stdout, reason = "deviations are for people")]
    fn kodak_reference_values() {
        let folder = std::path::PathBuf::from(std::env::var("SEMCAST_KODAK").expect("SEMCAST_KODAK is set"));
        let (lpips, _) = lpips::tests::published();
        let metrics = PictureMetrics::new(Some(lpips));
        for (index, psnr, similarity, multi_scale, perceptual) in [
            (1, 34.9389, 0.950717, 0.991611, 0.02155),
            (3, 34.5838, 0.887824, 0.962225, 0.11695),
            (5, 34.7139, 0.943317, 0.991940, 0.01945),
            (8, 34.6344, 0.950946, 0.992750, 0.01656),
            (13, 34.6498, 0.957840, 0.992960, 0.01476),
            (19, 34.7945, 0.903371, 0.974843, 0.09304),
            (20, 33.2266, 0.931556, 0.983405, 0.04999),
            (23, 34.6627, 0.874462, 0.964197, 0.13819),
        ] {
            let bytes = std::fs::read(folder.join(format!("{index}.png"))).unwrap();
            let picture = semcast_common::content::file::decode_picture(&bytes).unwrap();
            let found = metrics.measure(&picture, &quantised(&picture)).unwrap();
            for (name, found, expected, allowed) in [
                ("PSNR", found.psnr_db, psnr, 1e-3),
                ("SSIM", found.ssim, similarity, 1e-3),
                ("MS-SSIM", found.ms_ssim, multi_scale, 1e-3),
                ("LPIPS", found.lpips.unwrap(), perceptual, 1e-4),
            ] {
                println!("{index} {name}: {found:.6}, {:+.6}", found - expected);
                assert!((found - expected).abs() < allowed, "{name} of {index}: {found}");
            }
        }
    }
}
