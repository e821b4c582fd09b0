//! The landscape (sky, clouds, mountains, water) and the shaded balls in front of it.

use super::noise::fractal;
use super::{Canvas, Colour, HEIGHT, WIDTH, mix, smooth_step};

/// Row of the shore.
const SHORE: f32 = 318.0;

/// Colour of the sky at a place.
fn sky(seed: u64, x: f32, y: f32) -> Colour {
    let height = y / SHORE;
    let mut colour = mix([0.16, 0.36, 0.70], [0.93, 0.76, 0.58], height.powf(1.6));
    // The sun, low on the right, and its halo.
    let distance = ((x - 610.0).powi(2) + (y - 205.0).powi(2)).sqrt();
    colour = mix(colour, [1.0, 0.88, 0.62], 0.65 * (-distance / 110.0).exp());
    colour = mix(colour, [1.0, 0.97, 0.86], smooth_step(27.0, 23.0, distance));
    // Clouds lie flatter towards the horizon.
    let (u, v) = (x / 170.0, y / (95.0 - 55.0 * height));
    let density = smooth_step(0.50, 0.74, fractal(seed ^ 0xc1, u, v, 7, 0.55));
    let light = fractal(seed ^ 0xc1, u - 0.12, v - 0.16, 5, 0.5);
    mix(colour, mix([0.98, 0.95, 0.92], [0.55, 0.55, 0.62], smooth_step(0.45, 0.75, light)), 0.85 * density)
}

/// Height of a ridge above the shore at a column, pixels.
fn ridge(seed: u64, x: f32, base: f32, height: f32, width: f32) -> f32 {
    let folded = 1.0 - (2.0 * fractal(seed, x / width, 0.5, 6, 0.5) - 1.0).abs();
    base + height * (folded - 0.6) * 2.2
}

/// Colour of the mountains at a place, or none above the ridges.
fn mountains(seed: u64, x: f32, y: f32) -> Option<Colour> {
    let up = SHORE - y;
    let near = ridge(seed ^ 0xa2, x, 46.0, 42.0, 150.0);
    let far = ridge(seed ^ 0xa1, x, 118.0, 62.0, 230.0);
    let texture = |scale: f32, seed: u64| fractal(seed, x / scale, y / (scale * 0.6), 6, 0.62);
    if up < near {
        // Forest: dark, finely grained, a little lighter on the side of the sun.
        let grain = texture(9.0, seed ^ 0xb2);
        let shade = (0.25 + 1.1 * grain) * (0.75 + 0.35 * x / WIDTH as f32);
        Some([0.16 * shade, 0.27 * shade, 0.13 * shade])
    } else if up < far {
        let rock = texture(34.0, seed ^ 0xb1);
        // Slope of the texture towards the sun.
        let slope = texture(34.0, seed ^ 0xb1) - fractal(seed ^ 0xb1, (x + 5.0) / 34.0, y / 20.4, 6, 0.62);
        let light = (0.52 + 2.6 * slope).clamp(0.05, 1.1);
        let snow = smooth_step(0.0, 26.0, up - 96.0 + 60.0 * (rock - 0.5));
        let bare = mix([0.30, 0.27, 0.30], [0.56, 0.50, 0.46], rock);
        let colour = mix(bare, [0.97, 0.97, 1.0], snow);
        // Haze of the distance.
        Some(mix(colour.map(|value| value * (0.35 + 0.85 * light)), [0.70, 0.70, 0.76], 0.22))
    } else {
        None
    }
}

/// Colour of the land and sky, everything above the water.
fn above(seed: u64, x: f32, y: f32) -> Colour {
    mountains(seed, x, y).unwrap_or_else(|| sky(seed, x, y))
}

/// Fills the card.
pub fn landscape(canvas: &mut Canvas, seed: u64) {
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let (x, y) = (column as f32, row as f32);
            let colour = if y < SHORE {
                above(seed, x, y)
            } else {
                // A mirror image, bent by waves that grow towards the viewer.
                let depth = y - SHORE;
                let wave =
                    fractal(seed ^ 0xd1, x / (26.0 + depth * 0.4), depth / (2.0 + depth * 0.035), 5, 0.6)
                        - 0.5;
                let mirrored = (SHORE - depth * 1.45 - wave * (6.0 + depth * 0.35)).clamp(0.0, SHORE - 1.0);
                let reflected = above(seed, (x + wave * 10.0).clamp(0.0, WIDTH as f32 - 1.0), mirrored);
                let deep = mix([0.05, 0.18, 0.24], [0.02, 0.09, 0.15], depth / 194.0);
                let glint = smooth_step(0.12, 0.30, wave) * 0.16;
                mix(mix(reflected, deep, 0.38 + 0.22 * depth / 194.0), [1.0, 0.95, 0.85], glint)
            };
            canvas.pixels[row * WIDTH + column] = colour;
        }
    }
}

/// A ball lit from the upper right, with a highlight and a soft shadow on the water.
struct Ball {
    x: f32,
    y: f32,
    radius: f32,
    colour: Colour,
    gloss: f32,
    grain: f32,
}

/// Three balls: glossy, matt, and rough.
pub fn balls(canvas: &mut Canvas, seed: u64) {
    let light = [0.52_f32, -0.62, 0.588];
    for ball in [
        Ball { x: 470.0, y: 404.0, radius: 54.0, colour: [0.80, 0.10, 0.09], gloss: 0.9, grain: 0.0 },
        Ball { x: 586.0, y: 428.0, radius: 40.0, colour: [0.12, 0.36, 0.78], gloss: 0.25, grain: 0.0 },
        Ball { x: 690.0, y: 410.0, radius: 52.0, colour: [0.86, 0.62, 0.20], gloss: 0.1, grain: 1.0 },
    ] {
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let (x, y) = (column as f32 + 0.5 - ball.x, row as f32 + 0.5 - ball.y);
                let shadow =
                    ((x + 0.35 * ball.radius) / 1.15).powi(2) + ((y - ball.radius * 0.95) * 3.4).powi(2);
                canvas.blend(
                    column,
                    row,
                    [0.0, 0.02, 0.04],
                    0.55 * smooth_step(1.1, 0.5, shadow.sqrt() / ball.radius),
                );
            }
        }
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let (x, y) = (column as f32 + 0.5 - ball.x, row as f32 + 0.5 - ball.y);
                let distance = (x * x + y * y).sqrt();
                if distance > ball.radius + 1.0 {
                    continue;
                }
                let (nx, ny) = (x / ball.radius, y / ball.radius);
                let nz = (1.0 - nx * nx - ny * ny).max(0.0).sqrt();
                let facing = (nx * light[0] + ny * light[1] + nz * light[2]).max(0.0);
                let mirrored = (2.0 * facing * nz - light[2]).max(0.0);
                let rough = fractal(seed ^ 0xe1, column as f32 / 6.0, row as f32 / 6.0, 5, 0.65) - 0.5;
                let shade = 0.16 + 0.9 * facing + ball.grain * 1.1 * rough * (0.3 + facing);
                let diffuse = ball.colour.map(|value| value * shade);
                let colour = mix(diffuse, [1.0, 1.0, 0.97], ball.gloss * mirrored.powi(40));
                canvas.blend(column, row, colour, ball.radius + 0.5 - distance);
            }
        }
    }
}
