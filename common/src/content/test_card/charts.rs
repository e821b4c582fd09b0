//! Patterns that show resolution, ringing and colour errors.

use super::{Canvas, Colour};

/// Rings that get finer from the middle outwards, up to four pixels a ring at the edge.
pub fn zone_plate(canvas: &mut Canvas, x: usize, y: usize, radius: usize) {
    for row in y - radius..=y + radius {
        for column in x - radius..=x + radius {
            let (dx, dy) = (column as f32 - x as f32, row as f32 - y as f32);
            let square = dx * dx + dy * dy;
            // The phase grows with the square of the distance: its rate at the edge is π/2 a pixel.
            let phase = std::f32::consts::FRAC_PI_4 * square / radius as f32;
            let value = 0.5 + 0.48 * phase.cos();
            canvas.blend(column, row, [value; 3], radius as f32 - square.sqrt());
        }
    }
}

/// Groups of upright and level lines of 1, 2, 3 and 4 pixels.
pub fn line_pairs(canvas: &mut Canvas, x: usize, y: usize) {
    const SIDE: usize = 40;
    for (group, thickness) in [4, 3, 2, 1].into_iter().enumerate() {
        for level in [false, true] {
            let left = x + group * (SIDE + 6);
            let top = y + usize::from(level) * (SIDE + 6);
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let along = if level { row } else { column };
                    let value = if along / thickness % 2 == 0 { 0.06 } else { 0.94 };
                    canvas.blend(left + column, top + row, [value; 3], 1.0);
                }
            }
        }
    }
}

/// Patches of the primary and mixed colours above a ramp of grey.
pub fn colour_patches(canvas: &mut Canvas, x: usize, y: usize) {
    const COLOURS: [Colour; 6] = [
        [0.85, 0.10, 0.10],
        [0.95, 0.80, 0.10],
        [0.12, 0.65, 0.22],
        [0.10, 0.65, 0.75],
        [0.12, 0.20, 0.72],
        [0.72, 0.15, 0.62],
    ];
    const WIDTH: usize = 178;
    for column in 0..WIDTH {
        for row in 0..20 {
            canvas.blend(x + column, y + row, COLOURS[column * COLOURS.len() / WIDTH], 1.0);
            canvas.blend(x + column, y + 22 + row, [column as f32 / (WIDTH - 1) as f32; 3], 1.0);
        }
    }
}
