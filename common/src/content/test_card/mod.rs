//! A test card that the program draws itself, so that it can show what it does without anybody's photograph.
//!
//! 768 × 512 pixels with what is easy and what is hard in photographs: a graded sky with clouds, mountains and water
//! with natural texture, shaded balls, fine line patterns, patches of colour, and lettering. A seed gives one card:
//! its noise comes from integer hashes.
//!
//! - `noise`: fractal noise. `lettering`: a small font. `scene`: the landscape and the balls. `charts`: the patterns.

mod charts;
mod lettering;
mod noise;
mod scene;

use super::{ContentError, Picture};

/// Width of the card, pixels.
pub const WIDTH: usize = 768;
/// Height of the card, pixels.
pub const HEIGHT: usize = 512;

/// Red, green, blue, each 0 to 1.
type Colour = [f32; 3];

/// A picture being drawn.
struct Canvas {
    pixels: Vec<Colour>,
}

impl Canvas {
    fn new() -> Self {
        Self { pixels: vec![[0.0; 3]; WIDTH * HEIGHT] }
    }

    /// Lays `colour` over a pixel, covering it by `cover` of 0 to 1. Outside of the card nothing happens.
    fn blend(&mut self, x: usize, y: usize, colour: Colour, cover: f32) {
        if x < WIDTH && y < HEIGHT {
            let pixel = &mut self.pixels[y * WIDTH + x];
            *pixel = mix(*pixel, colour, cover.clamp(0.0, 1.0));
        }
    }
}

/// From `first` (at 0) to `second` (at 1).
fn mix(first: Colour, second: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|channel| first[channel] + (second[channel] - first[channel]) * share)
}

/// 0 below `low`, 1 above `high`, smooth between.
fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Draws the card.
pub fn draw(seed: u64) -> Result<Picture, ContentError> {
    let mut canvas = Canvas::new();
    scene::landscape(&mut canvas, seed);
    scene::balls(&mut canvas, seed);
    charts::zone_plate(&mut canvas, 96, 420, 76);
    charts::line_pairs(&mut canvas, 196, 352);
    charts::colour_patches(&mut canvas, 196, 452);
    lettering::write(&mut canvas, 24, 20, 3, "SEMCAST TEST CARD", [1.0, 1.0, 1.0]);
    lettering::write(
        &mut canvas,
        24,
        50,
        1,
        "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG 0123456789",
        [0.95, 0.95, 0.85],
    );
    lettering::write(&mut canvas, 24, 64, 2, &format!("768 X 512  SEED {}", seed % 100_000), [1.0, 0.9, 0.6]);
    let bytes = canvas.pixels.iter().flatten().map(|value| (255.0 * value).round().clamp(0.0, 255.0) as u8);
    Picture::new(WIDTH as u32, HEIGHT as u32, bytes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_card() {
        let card = draw(1).unwrap();
        assert_eq!((card.width(), card.height()), (768, 512));
        assert_eq!(card, draw(1).unwrap());
        assert_ne!(card, draw(2).unwrap());
    }

    #[test]
    fn the_card_has_the_contrast_of_a_photograph() {
        let card = draw(1).unwrap();
        for channel in 0..3 {
            let values: Vec<f64> =
                card.rgb().iter().skip(channel).step_by(3).map(|&v| f64::from(v)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let spread =
                (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            assert!((60.0..200.0).contains(&mean) && spread > 35.0, "channel {channel}: {mean} ± {spread}");
        }
    }
}
