//! Polygons → labels, row by row through the middles of the places, which no vertex lies on.

use super::{GraphicError, Polygon};

/// How often each place may be painted, on average, and each row be crossed.
const MOST_LAYERS: usize = 128;
/// Places and crossings that may always be painted.
const FREE: usize = 1 << 16;

pub struct Painter {
    values: Vec<u8>,
    across: usize,
    down: usize,
    /// Places that may still be painted.
    left: usize,
}

impl Painter {
    pub fn new(across: usize, down: usize, ground: u8) -> Self {
        let places = across * down;
        Self { values: vec![ground; places], across, down, left: places * MOST_LAYERS + FREE }
    }

    pub fn finish(self) -> Vec<u8> {
        self.values
    }

    fn spend(&mut self, work: usize) -> Result<(), GraphicError> {
        self.left = self.left.checked_sub(work).ok_or(GraphicError::Work)?;
        Ok(())
    }

    pub fn paint(&mut self, polygon: &Polygon) -> Result<(), GraphicError> {
        let rows = polygon.vertices.iter().map(|vertex| vertex.1);
        let (Some(top), Some(bottom)) = (rows.clone().min(), rows.max()) else { return Ok(()) };
        let mut crossings: Vec<Vec<f32>> = vec![Vec::new(); (bottom - top) as usize];
        let next = polygon.vertices.iter().cycle().skip(1);
        for (&a, &b) in polygon.vertices.iter().zip(next) {
            let (upper, lower) = if a.1 < b.1 { (a, b) } else { (b, a) };
            self.spend((lower.1 - upper.1) as usize)?;
            let slope = (lower.0 - upper.0) as f32 / (lower.1 - upper.1).max(1) as f32;
            for row in upper.1..lower.1 {
                let x = upper.0 as f32 + slope * ((row - upper.1) as f32 + 0.5);
                crossings[(row - top) as usize].push(x);
            }
        }
        for (row, mut crossings) in (top as usize..).zip(crossings) {
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                // Places whose middle lies between.
                let place = |x: f32| ((x - 0.5).ceil().max(0.0) as usize).min(self.across);
                let (from, to) = (place(pair[0]), place(pair[1]));
                self.spend(to.saturating_sub(from))?;
                if row < self.down && from < to {
                    self.values[row * self.across..][from..to].fill(polygon.label);
                }
            }
        }
        Ok(())
    }
}
