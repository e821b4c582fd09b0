//! Fractal value noise from an integer hash.

/// A hash of a lattice point to 0..1.
fn lattice(seed: u64, x: i32, y: i32) -> f32 {
    let mut hash = seed ^ ((x as u32 as u64) << 32 | y as u32 as u64);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

/// Noise that varies over a distance of one, 0 to 1.
fn smooth(seed: u64, x: f32, y: f32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (across, down) = (ease(x - column), ease(y - row));
    let at = |dx: i32, dy: i32| lattice(seed, column as i32 + dx, row as i32 + dy);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * across;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * across;
    upper + (lower - upper) * down
}

/// Sum of `octaves` layers of noise, each of half the size of the last and `gain` of its height; mean 0.5.
pub fn fractal(seed: u64, x: f32, y: f32, octaves: u32, gain: f32) -> f32 {
    let (mut sum, mut total, mut height, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        // Each layer is shifted, or lattice lines of all layers would meet.
        let shift = 17.3 * octave as f32;
        sum += height
            * smooth(seed.wrapping_add(u64::from(octave) * 0x9e37), x * scale + shift, y * scale + shift);
        total += height;
        height *= gain;
        scale *= 2.03;
    }
    sum / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_and_between_zero_and_one() {
        let mut last = fractal(5, 0.0, 0.3, 5, 0.5);
        for step in 1..2000 {
            let value = fractal(5, step as f32 * 0.001, 0.3, 5, 0.5);
            assert!((0.0..=1.0).contains(&value));
            assert!((value - last).abs() < 0.02);
            last = value;
        }
    }
}
