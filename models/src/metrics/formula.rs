//! Pictures and weights that follow from a formula, the same as in `models/tests/metrics_reference.py`.

use semcast_common::content::Picture;

use super::ncnn::Convolution;
use super::squeezenet::{Backbone, expected};
use crate::device::{DeviceChoice, OpenDevice, open_device};

pub fn cpu() -> OpenDevice {
    open_device(DeviceChoice::Cpu).unwrap()
}

/// A number of 0 to 1 that looks random.
pub fn scattered(at: usize, salt: u32) -> f32 {
    let mut mixed = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(97_787));
    mixed ^= mixed >> 15;
    mixed = mixed.wrapping_mul(2_246_822_519);
    mixed ^= mixed >> 13;
    (mixed >> 8) as f32 / (1 << 24) as f32
}

pub fn picture(width: u32, height: u32) -> Picture {
    let values = (0..3 * width as usize * height as usize).map(|at| {
        let (channel, x, y) = (at % 3, at / 3 % width as usize, at / 3 / width as usize);
        (x * 3 + y * 2 + channel * 40 + (scattered(at, 999) * 32.0) as usize) as u8
    });
    Picture::new(width, height, values.collect()).unwrap()
}

/// Only `256 >> bits` levels a channel; the distortion of the reference table has 4 bits.
pub fn coarse(picture: &Picture, bits: u8) -> Picture {
    let rgb = picture.rgb().iter().map(|value| (value >> bits << bits) + (1 << bits >> 1)).collect();
    Picture::new(picture.width(), picture.height(), rgb).unwrap()
}

pub fn convolutions() -> Vec<Convolution> {
    let one = |(salt, (_, shape)): (u32, (String, [usize; 4]))| {
        let inputs: usize = shape[1..].iter().product();
        let bound = (6.0 / inputs as f64).sqrt() as f32;
        let weight = (0..shape[0] * inputs).map(|at| (scattered(at, salt) * 2.0 - 1.0) * bound).collect();
        let bias = (0..shape[0]).map(|at| scattered(at, 100 + salt) * 0.1).collect();
        Convolution { shape, weight, bias }
    };
    (0..).zip(expected()).map(one).collect()
}

pub fn backbone() -> Backbone {
    Backbone::new(convolutions(), &cpu()).unwrap()
}
