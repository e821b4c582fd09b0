//! The best picture that fits a byte budget.
//!
//! 1. Lossless WebP, if it fits: nothing is better.
//! 2. Else AV1: the finest quantiser whose bytes fit, found by a few encodes, two at a time on two cores. Bytes fall
//!    nearly exponentially with the quantiser, so tries are placed by interpolating their logarithm.
//! 3. Where a coarse quantiser is all that fits, half the size at a finer one may look better; both are tried, and
//!    what is nearer to the original is sent. Where nothing fits, the size is halved until something does.

use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use semcast_common::content::{Picture, file::decode_picture};

use super::av1::{self, COARSEST, Sampling};
use super::colour;
use super::side::{PictureCode, PictureSide};
use crate::ModelError;
use crate::metrics::psnr_db;

/// From this quantiser on, a smaller picture may look better.
const COARSE: usize = 190;
/// More bits a pixel than this go into full chroma first.
const FULL_CHROMA_BITS: f64 = 1.3;
/// A try that uses this share of the budget is good enough.
const GOOD_ENOUGH: f64 = 0.95;
/// Quantiser steps in which the bytes fall to about a half.
const HALVING: f64 = 40.0;
/// Large pictures are tried as lossless WebP only if the budget allows this many bits a pixel.
const LOSSLESS_BITS: f64 = 1.0;

/// How hard to try: rounds of two encodes side by side, and the speed of each, by the number of pixels.
fn effort(pixels: usize) -> (usize, u8) {
    match pixels {
        0..300_000 => (4, 7),
        300_000..1_000_000 => (3, 9),
        1_000_000..6_000_000 => (3, 10),
        _ => (2, 10),
    }
}

/// The best code of a picture within a budget.
pub fn picture(picture: &Picture, budget_bytes: usize) -> Result<(PictureSide, Vec<u8>), ModelError> {
    let (width, height) = (picture.width(), picture.height());
    let whole =
        PictureSide { code: PictureCode::WebP, width, height, coded_width: width, coded_height: height };
    let pixels = width as usize * height as usize;
    let bits = 8.0 * budget_bytes as f64 / pixels as f64;
    if pixels < 300_000 || bits > LOSSLESS_BITS {
        let bytes = encode_webp(picture)?;
        if bytes.len() <= budget_bytes {
            return Ok((whole, bytes));
        }
    }
    let mut shrink = 1;
    let mut best: Option<(PictureSide, Vec<u8>)> = None;
    let mut least = usize::MAX;
    loop {
        let side = PictureSide {
            coded_width: width.div_ceil(shrink),
            coded_height: height.div_ceil(shrink),
            ..whole
        };
        let coded = resized(picture, side.coded_width, side.coded_height)?;
        let found = search(&coded, budget_bytes)?;
        least = least.min(found.least_bytes);
        if let Some(code) = found.best {
            let candidate = (PictureSide { code: PictureCode::Av1(code.sampling), ..side }, code.bytes);
            let coarse = code.quantizer >= COARSE;
            best = Some(match best {
                None => candidate,
                Some(larger) => nearer(picture, larger, candidate)?,
            });
            if !coarse || shrink > 1 {
                break;
            }
        }
        if side.coded_width == 1 && side.coded_height == 1 {
            break;
        }
        shrink *= 2;
    }
    best.ok_or(ModelError::Budget { given: budget_bytes, needed: least, unit: "bytes" })
}

struct Code {
    quantizer: usize,
    sampling: Sampling,
    bytes: Vec<u8>,
}

struct Found {
    best: Option<Code>,
    least_bytes: usize,
}

/// The finest quantiser whose bytes fit.
fn search(picture: &Picture, budget_bytes: usize) -> Result<Found, ModelError> {
    let pixels = picture.width() as usize * picture.height() as usize;
    let (rounds, speed) = effort(pixels);
    let bits = 8.0 * budget_bytes as f64 / pixels as f64;
    let sampling = if bits > FULL_CHROMA_BITS { Sampling::Full } else { Sampling::Half };
    let (width, height) = (av1::coded_side(picture.width()), av1::coded_side(picture.height()));
    let planes = colour::from_rgb(picture, width, height, sampling);
    let mut found = Found { best: None, least_bytes: usize::MAX };
    let mut tried = Tried::new(budget_bytes, bits);
    for round in 0..=rounds {
        let (finer, coarser) = match round {
            _ if round < rounds => tried.next(round),
            // The last round is for something that fits at all.
            _ if found.best.is_none() => (COARSEST, COARSEST),
            _ => break,
        };
        let encode = |quantizer| av1::encode(&planes, quantizer, speed);
        let codes = if finer == coarser {
            vec![(finer, encode(finer)?)]
        } else {
            let (first, second) = rayon::join(|| encode(finer), || encode(coarser));
            vec![(finer, first?), (coarser, second?)]
        };
        for (quantizer, bytes) in codes {
            found.least_bytes = found.least_bytes.min(bytes.len());
            tried.add(quantizer, bytes.len());
            if bytes.len() <= budget_bytes
                && found.best.as_ref().is_none_or(|best| quantizer < best.quantizer)
            {
                found.best = Some(Code { quantizer, sampling, bytes });
            }
        }
        let used = found.best.as_ref().map_or(0, |best| best.bytes.len());
        if used as f64 >= GOOD_ENOUGH * budget_bytes as f64 || tried.is_narrow() {
            break;
        }
    }
    Ok(found)
}

/// What is known of the bytes that a quantiser gives.
struct Tried {
    /// Logarithm of the bytes to aim at.
    target: f64,
    /// Coarsest quantiser whose bytes do not fit, with the logarithm of its bytes.
    above: Option<(f64, f64)>,
    /// Finest quantiser whose bytes fit.
    below: Option<(f64, f64)>,
    /// Quantiser expected to hit the target.
    guess: f64,
}

impl Tried {
    fn new(budget_bytes: usize, bits: f64) -> Self {
        let target = (budget_bytes as f64 * (1.0 + GOOD_ENOUGH) / 2.0).max(1.0).ln();
        // A photograph takes about 2.4 bits a pixel at a quantiser of 40, and half of it every `HALVING` steps.
        let guess = 40.0 + HALVING * (2.4 / bits).log2();
        Self { target, above: None, below: None, guess }
    }

    fn add(&mut self, quantizer: usize, bytes: usize) {
        let point = (quantizer as f64, (bytes as f64).ln());
        let fits = bytes as f64 <= self.target.exp() * 2.0 / (1.0 + GOOD_ENOUGH) + 0.5;
        if fits && self.below.is_none_or(|below| point.0 < below.0) {
            self.below = Some(point);
        } else if !fits && self.above.is_none_or(|above| point.0 > above.0) {
            self.above = Some(point);
        }
        self.guess = match (self.above, self.below) {
            (Some(above), Some(below)) => {
                let slope = ((below.1 - above.1) / (below.0 - above.0)).min(-1e-4);
                above.0 + (self.target - above.1) / slope
            }
            _ => {
                let (quantizer, log_bytes) = self.above.or(self.below).unwrap_or(point);
                quantizer + (log_bytes - self.target) / std::f64::consts::LN_2 * HALVING
            }
        };
    }

    /// Two quantisers about the guess, nearer to it in later rounds, between those that are known.
    fn next(&self, round: usize) -> (usize, usize) {
        let spread = [14.0, 4.0, 2.0].get(round).copied().unwrap_or(1.0);
        let least = self.above.map_or(1.0, |above| above.0 + 1.0);
        let most = self.below.map_or(COARSEST as f64, |below| below.0 - 1.0).max(least);
        let place =
            |quantizer: f64| quantizer.round().clamp(least, most).clamp(1.0, COARSEST as f64) as usize;
        (place(self.guess - spread), place(self.guess + spread))
    }

    /// Whether nothing lies between what fits and what does not.
    fn is_narrow(&self) -> bool {
        match (self.above, self.below) {
            (Some(above), Some(below)) => below.0 - above.0 <= 1.0,
            (None, Some(below)) => below.0 <= 1.0,
            (Some(above), None) => above.0 >= COARSEST as f64,
            (None, None) => false,
        }
    }
}

/// Of two codes of a picture, the one that is nearer to it when it arrives.
fn nearer(
    picture: &Picture,
    first: (PictureSide, Vec<u8>),
    second: (PictureSide, Vec<u8>),
) -> Result<(PictureSide, Vec<u8>), ModelError> {
    let quality = |(side, bytes): &(PictureSide, Vec<u8>)| {
        let arrived = super::decode_picture(side, bytes.clone())?;
        psnr_db(picture, &arrived).map_err(|error| ModelError::Internal(error.to_string()))
    };
    Ok(if quality(&first)? >= quality(&second)? { first } else { second })
}

/// A lossless WebP file.
fn encode_webp(picture: &Picture) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut bytes)
        .write_image(picture.rgb(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|error| ModelError::Internal(format!("WebP encoder: {error}")))?;
    Ok(bytes)
}

/// Decodes a WebP file of the size that the side information names.
pub(super) fn decode_webp(bytes: &[u8], side: &PictureSide) -> Result<Picture, ModelError> {
    let damaged = |what: String| ModelError::Damaged(format!("WebP: {what}"));
    if bytes.get(..4) != Some(b"RIFF") {
        return Err(damaged("no WebP file".into()));
    }
    let picture = decode_picture(bytes).map_err(|error| damaged(error.to_string()))?;
    if (picture.width(), picture.height()) != (side.coded_width, side.coded_height) {
        return Err(damaged("the picture is not of the size that the side information says".into()));
    }
    Ok(picture)
}

/// A picture at another size.
pub(super) fn resized(picture: &Picture, width: u32, height: u32) -> Result<Picture, ModelError> {
    if (picture.width(), picture.height()) == (width, height) {
        return Ok(picture.clone());
    }
    let internal = || ModelError::Internal("a picture could not be resized".into());
    let whole =
        RgbImage::from_raw(picture.width(), picture.height(), picture.rgb().to_vec()).ok_or_else(internal)?;
    let filter = if width > picture.width() { FilterType::CatmullRom } else { FilterType::Triangle };
    let rgb = resize(&whole, width, height, filter).into_raw();
    Picture::new(width, height, rgb).map_err(|_| internal())
}
