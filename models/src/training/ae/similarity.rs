//! MS-SSIM with slopes: that of [`crate::metrics`], as tensors.

use burn::nn::pool::AvgPool2dConfig;
use burn::tensor::{Device, Tensor, TensorData};

use crate::metrics::structure::{C1, C2, EXPONENTS, WINDOW, window};

/// Terms below this have no slope: the power of one that is zero has an infinite one.
const LEAST_TERM: f64 = 1.0e-4;

/// Shortest side of pictures that are compared on all scales, pixels.
pub const LEAST_SIDE: usize = WINDOW << (EXPONENTS.len() - 1);

/// MS-SSIM of each pair of pictures, `[B, 3, H, W]` with values of 0 to 1 and sides of at least [`LEAST_SIDE`] → `[B]`.
pub fn ms_ssim(first: Tensor<4>, second: Tensor<4>) -> Tensor<1> {
    let [count, channels, height, width] = first.dims();
    let planes = |tensor: Tensor<4>| tensor.reshape([count * channels, 1, height, width]);
    let (mut a, mut b) = (planes(first), planes(second));
    let mut product: Option<Tensor<2>> = None;
    for (scale, &exponent) in EXPONENTS.iter().enumerate() {
        if scale > 0 {
            let halve = AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
            (a, b) = (halve.forward(a), halve.forward(b));
        }
        let all = [a.clone(), b.clone(), a.clone() * a.clone(), b.clone() * b.clone(), a.clone() * b.clone()];
        let blurred = blurred(Tensor::cat(all.into(), 0));
        let of = |index: usize| blurred.clone().narrow(0, index * count * channels, count * channels);
        let [mean_a, mean_b] = [0, 1].map(of);
        let (square_a, square_b) = (mean_a.clone().square(), mean_b.clone().square());
        let mixed = mean_a * mean_b;
        let spread = of(2) - square_a.clone() + of(3) - square_b.clone();
        let mut term = (of(4) - mixed.clone()).mul_scalar(2.0).add_scalar(C2) / spread.add_scalar(C2);
        if scale + 1 == EXPONENTS.len() {
            term = term * mixed.mul_scalar(2.0).add_scalar(C1) / (square_a + square_b).add_scalar(C1);
        }
        let [_, _, rows, columns] = term.dims();
        let mean = term.reshape([count * channels, rows * columns]).mean_dim(1);
        let power = mean.clamp_min(LEAST_TERM).powf_scalar(exponent);
        product = Some(product.map_or(power.clone(), |product| product * power));
    }
    let product = product.unwrap_or_else(|| Tensor::ones([count * channels, 1], &a.device()));
    product.reshape([count, channels]).mean_dim(1).reshape([count])
}

/// Weighted means under the window, `[B, 1, H, W]`: as products of matrices, which is several times as fast as convolving.
fn blurred(planes: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = planes.dims();
    let device = planes.device();
    let along = |side| band(side, &device);
    along(height).swap_dims(2, 3).matmul(planes).matmul(along(width))
}

/// The window at every place along a side, `[1, 1, side, places]`.
fn band(side: usize, device: &Device) -> Tensor<4> {
    let places = side + 1 - WINDOW;
    let mut values = vec![0.0; side * places];
    for place in 0..places {
        for (at, weight) in window(WINDOW).into_iter().enumerate() {
            values[(place + at) * places + place] = weight;
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 1, side, places]), device)
}

#[cfg(test)]
mod tests {
    use semcast_common::content::{Picture, test_card};

    use super::*;

    #[test]
    fn it_is_the_measure() {
        let device = Device::flex();
        let card = test_card::draw(5).unwrap();
        let side = LEAST_SIDE + 3;
        let pick = |noise: i16| -> Vec<u8> {
            let rows = card.rgb().chunks_exact(3 * card.width() as usize).skip(90).take(side);
            let values = rows.flat_map(|row| row[..3 * side].to_vec()).enumerate();
            values
                .map(|(at, value)| {
                    (i16::from(value) + (at as i16 * 37 % 41 - 20) * noise / 20).clamp(0, 255) as u8
                })
                .collect()
        };
        let tensor = |rgb: &[u8]| {
            let values: Vec<f32> = rgb.iter().map(|&value| f32::from(value) / 255.0).collect();
            let tensor = Tensor::<4>::from_data(TensorData::new(values, [1, side, side, 3]), &device);
            tensor.permute([0, 3, 1, 2])
        };
        let picture = |rgb: Vec<u8>| Picture::new(side as u32, side as u32, rgb).unwrap();
        for noise in [0, 6, 40] {
            let (first, second) = (pick(0), pick(noise));
            let found: f32 = ms_ssim(tensor(&first), tensor(&second)).into_scalar();
            let expected = crate::metrics::structure::ms_ssim(&picture(first), &picture(second)).unwrap();
            assert!((f64::from(found) - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
    }
}
