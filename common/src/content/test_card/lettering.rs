//! Lettering in a font of 5 × 7 dots, drawn for this card.

use super::{Canvas, Colour};

/// Letters that the font has; any other is a gap.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:";

/// Seven rows a letter, the leftmost dot in bit 4.
const DOTS: [[u8; 7]; 39] = [
    [14, 17, 17, 31, 17, 17, 17],
    [30, 17, 17, 30, 17, 17, 30],
    [14, 17, 16, 16, 16, 17, 14],
    [28, 18, 17, 17, 17, 18, 28],
    [31, 16, 16, 30, 16, 16, 31],
    [31, 16, 16, 30, 16, 16, 16],
    [14, 17, 16, 23, 17, 17, 15],
    [17, 17, 17, 31, 17, 17, 17],
    [14, 4, 4, 4, 4, 4, 14],
    [7, 2, 2, 2, 2, 18, 12],
    [17, 18, 20, 24, 20, 18, 17],
    [16, 16, 16, 16, 16, 16, 31],
    [17, 27, 21, 21, 17, 17, 17],
    [17, 25, 21, 19, 17, 17, 17],
    [14, 17, 17, 17, 17, 17, 14],
    [30, 17, 17, 30, 16, 16, 16],
    [14, 17, 17, 17, 21, 18, 13],
    [30, 17, 17, 30, 20, 18, 17],
    [15, 16, 16, 14, 1, 1, 30],
    [31, 4, 4, 4, 4, 4, 4],
    [17, 17, 17, 17, 17, 17, 14],
    [17, 17, 17, 17, 17, 10, 4],
    [17, 17, 17, 21, 21, 27, 17],
    [17, 17, 10, 4, 10, 17, 17],
    [17, 17, 10, 4, 4, 4, 4],
    [31, 1, 2, 4, 8, 16, 31],
    [14, 17, 19, 21, 25, 17, 14],
    [4, 12, 4, 4, 4, 4, 14],
    [14, 17, 1, 6, 8, 16, 31],
    [31, 2, 4, 6, 1, 17, 14],
    [2, 6, 10, 18, 31, 2, 2],
    [31, 16, 30, 1, 1, 17, 14],
    [6, 8, 16, 30, 17, 17, 14],
    [31, 1, 2, 4, 8, 8, 8],
    [14, 17, 17, 14, 17, 17, 14],
    [14, 17, 17, 15, 1, 2, 12],
    [0, 0, 0, 0, 0, 12, 12],
    [0, 0, 0, 31, 0, 0, 0],
    [0, 12, 12, 0, 12, 12, 0],
];

/// Writes capitals and digits with a dark shadow, `scale` pixels a dot, the upper left dot at `x`, `y`.
pub fn write(canvas: &mut Canvas, x: usize, y: usize, scale: usize, text: &str, colour: Colour) {
    for (shift, colour, cover) in [(scale.div_ceil(2), [0.02, 0.03, 0.08], 0.7), (0, colour, 1.0)] {
        for (index, letter) in text.chars().enumerate() {
            let Some(dots) = LETTERS.chars().position(|known| known == letter).map(|at| DOTS[at]) else {
                continue;
            };
            for row in 0..7 * scale {
                for column in 0..5 * scale {
                    if dots[row / scale] >> (4 - column / scale) & 1 == 1 {
                        canvas.blend(
                            x + shift + (6 * index * scale) + column,
                            y + shift + row,
                            colour,
                            cover,
                        );
                    }
                }
            }
        }
    }
}
