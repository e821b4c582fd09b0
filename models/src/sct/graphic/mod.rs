//! Labels of places ↔ a compact vector graphic.
//!
//! In → out: a grid of labels → its connected areas as polygons, simplified until they fit a wanted number of bytes → bits → the
//! same polygons, painted from the largest to the smallest → labels, about or exactly the same.
//!
//! - `outline`: areas → polygons. Borders between two areas are simplified as one line \[1\], so that no gap opens.
//! - `paint`: polygons → labels.
//!
//! Bits, most significant first; EGk is an exponential Golomb code (\[2\], section 9.2), signed numbers as 0, 1, −1, 2, −2, …
//!
//! | what | bits |
//! |---|---|
//! | label of the ground | 4 |
//! | k | 2 |
//! | number of polygons | EG2 |
//! | of each polygon: label | 4 |
//! | vertices less three | EG1 |
//! | first vertex: column, row | as many as the largest needs, each |
//! | step to each next vertex: columns, rows | EGk, signed, each |
//!
//! 1. D. Douglas, T. Peucker: Algorithms for the reduction of the number of points required to represent a digitized line or its
//!    caricature. Cartographica 10(2), 1973.
//! 2. ITU-T H.264, 2019.

mod bits;
mod outline;
mod paint;

use bits::{Reader, Writer};
use paint::Painter;

/// Labels are smaller than this.
pub const MOST_LABELS: u8 = 16;
/// Longest side of a grid, places.
pub const MOST_SIDE: usize = 4096;
/// Most places of a grid.
pub const MOST_PLACES: usize = 1 << 20;
/// Most polygons of a graphic.
const MOST_POLYGONS: u32 = 1024;
/// Most vertices of a polygon.
const MOST_VERTICES: u32 = 1 << 15;
/// How far a border may move, in places, from exact to crude; areas up to so many places go, too.
const LEVELS: [(f32, usize); 14] = [
    (0.0, 0),
    (0.5, 0),
    (0.71, 1),
    (0.8, 2),
    (1.0, 3),
    (1.2, 4),
    (1.5, 6),
    (1.8, 8),
    (2.2, 12),
    (2.8, 18),
    (3.5, 28),
    (5.0, 48),
    (8.0, 100),
    (16.0, 400),
];

/// Why there is no graphic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphicError {
    /// The grid is empty, too large, or not filled.
    #[error(
        "a grid of {across} x {down} places with {given} labels: sides must be 1 to {MOST_SIDE}, places at most {MOST_PLACES}, each with a label"
    )]
    Grid {
        /// Places from left to right.
        across: usize,
        /// Places from top to bottom.
        down: usize,
        /// Labels given.
        given: usize,
    },
    /// A label is too large.
    #[error("a label is {0}: the greatest is {greatest}", greatest = MOST_LABELS - 1)]
    Label(u8),
    /// The bytes end too early.
    #[error("the graphic ends in the middle")]
    Short,
    /// A number is out of its range.
    #[error("the graphic has a {what} of {value}, beyond {most}")]
    Range {
        /// Of what.
        what: &'static str,
        /// What it is.
        value: i64,
        /// The most that it may be.
        most: i64,
    },
    /// Painting it would take longer than any graphic of ours.
    #[error("the graphic paints the same places too often")]
    Work,
}

/// A label for each place of a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Places from left to right.
    pub across: usize,
    /// Places from top to bottom.
    pub down: usize,
    /// Labels, row by row.
    pub values: Vec<u8>,
}

/// A polygon: its vertices are corners of places.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Polygon {
    label: u8,
    vertices: Vec<(i32, i32)>,
}

fn check(across: usize, down: usize, given: usize) -> Result<(), GraphicError> {
    let fits = (1..=MOST_SIDE).contains(&across) && (1..=MOST_SIDE).contains(&down);
    if fits && across * down <= MOST_PLACES && given == across * down {
        Ok(())
    } else {
        Err(GraphicError::Grid { across, down, given })
    }
}

impl Labels {
    /// Checks sides and labels.
    pub fn new(across: usize, down: usize, values: Vec<u8>) -> Result<Self, GraphicError> {
        check(across, down, values.len())?;
        match values.iter().find(|&&label| label >= MOST_LABELS) {
            Some(&label) => Err(GraphicError::Label(label)),
            None => Ok(Self { across, down, values }),
        }
    }

    /// The finest graphic of at most `bytes` bytes, or, if not even the crudest is so short, that one; and the labels that it
    /// gives back.
    pub fn encode(&self, bytes: usize) -> (Vec<u8>, Self) {
        let mut shortest = None;
        for (tolerance, least) in LEVELS {
            let (ground, polygons) = outline::polygons(self, tolerance, least);
            if polygons.len() > MOST_POLYGONS as usize
                || polygons.iter().any(|polygon| polygon.vertices.len() > MOST_VERTICES as usize)
            {
                continue;
            }
            let found = self.write(ground, &polygons);
            let fits = found.len() <= bytes;
            // A graphic that nobody could read is none.
            if let Ok(labels) = Self::decode(&found, self.across, self.down) {
                shortest = Some((found, labels));
                if fits {
                    break;
                }
            }
        }
        if let Some(found) = shortest {
            return found;
        }
        // Confetti: the commonest label stands for all of it.
        let count = |label: u8| self.values.iter().filter(|&&value| value == label).count();
        let ground = (0..MOST_LABELS).rev().max_by_key(|&label| count(label)).unwrap_or(0);
        let values = vec![ground; self.values.len()];
        (self.write(ground, &[]), Self { across: self.across, down: self.down, values })
    }

    /// The labels of a graphic, on a grid whose size is known. Bytes may be any.
    pub fn decode(bytes: &[u8], across: usize, down: usize) -> Result<Self, GraphicError> {
        check(across, down, across.saturating_mul(down))?;
        let mut reader = Reader::new(bytes);
        let ground = reader.bits(4)? as u8;
        let k = reader.bits(2)?;
        let count = in_range("number of polygons", reader.golomb(2)?.into(), MOST_POLYGONS.into())?;
        let mut painter = Painter::new(across, down, ground);
        for _ in 0..count {
            let label = reader.bits(4)? as u8;
            let vertices =
                in_range("number of vertices", i64::from(reader.golomb(1)?) + 3, MOST_VERTICES.into())?;
            let x = reader.bits(width(across))?;
            let y = reader.bits(width(down))?;
            let mut at = (i64::from(x), i64::from(y));
            let mut polygon = Polygon { label, vertices: Vec::new() };
            for vertex in 0..vertices {
                if vertex > 0 {
                    at.0 += reader.signed(k)?;
                    at.1 += reader.signed(k)?;
                }
                let column = in_range("column", at.0, across as i64)?;
                polygon.vertices.push((column as i32, in_range("row", at.1, down as i64)? as i32));
            }
            painter.paint(&polygon)?;
        }
        Ok(Self { across, down, values: painter.finish() })
    }

    /// Share of places that have the same label in both.
    pub fn agreement(&self, other: &Self) -> f32 {
        let same = self.values.iter().zip(&other.values).filter(|(a, b)| a == b).count();
        same as f32 / self.values.len().max(other.values.len()).max(1) as f32
    }

    fn write(&self, ground: u8, polygons: &[Polygon]) -> Vec<u8> {
        let with = |k: u32| {
            let mut writer = Writer::default();
            writer.bits(ground.into(), 4);
            writer.bits(k, 2);
            writer.golomb(polygons.len() as u32, 2);
            for Polygon { label, vertices } in polygons {
                writer.bits((*label).into(), 4);
                writer.golomb(vertices.len() as u32 - 3, 1);
                let mut before = vertices[0];
                writer.bits(before.0 as u32, width(self.across));
                writer.bits(before.1 as u32, width(self.down));
                for &vertex in &vertices[1..] {
                    writer.signed(vertex.0 - before.0, k);
                    writer.signed(vertex.1 - before.1, k);
                    before = vertex;
                }
            }
            writer.finish()
        };
        (0..4).map(with).min_by_key(Vec::len).unwrap_or_default()
    }
}

/// Bits that a number from 0 to `most` needs.
fn width(most: usize) -> u32 {
    usize::BITS - most.leading_zeros()
}

fn in_range(what: &'static str, value: i64, most: i64) -> Result<i64, GraphicError> {
    if (0..=most).contains(&value) { Ok(value) } else { Err(GraphicError::Range { what, value, most }) }
}

#[cfg(test)]
mod tests;
