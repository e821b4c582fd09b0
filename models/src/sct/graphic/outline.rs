//! Areas of one label → polygons.
//!
//! The outer border of each connected area is followed along the sides of its places. It is cut where three areas meet, and
//! each part between two cuts is simplified by itself, always from the same end: so both areas beside it get the same line.
//! Areas within others need no holes, because what is smaller is painted later.

use super::{Labels, MOST_LABELS, Polygon};
use crate::sct::analysis::superpixels::neighbours;

/// Beyond the grid.
const OUTSIDE: u32 = u32::MAX;

type Point = (i32, i32);

/// Connected areas of one label.
struct Areas {
    of: Vec<u32>,
    labels: Vec<u8>,
    sizes: Vec<usize>,
    /// The first place of each.
    first: Vec<usize>,
}

impl Areas {
    fn of(values: &[u8], across: usize) -> Self {
        let mut areas =
            Self { of: vec![OUTSIDE; values.len()], labels: vec![], sizes: vec![], first: vec![] };
        let mut stack = Vec::new();
        for start in 0..values.len() {
            if areas.of[start] != OUTSIDE {
                continue;
            }
            let number = areas.labels.len() as u32;
            areas.labels.push(values[start]);
            areas.first.push(start);
            let mut size = 0;
            areas.of[start] = number;
            stack.push(start);
            while let Some(at) = stack.pop() {
                size += 1;
                for next in neighbours(at, across, values.len()) {
                    if areas.of[next] == OUTSIDE && values[next] == values[start] {
                        areas.of[next] = number;
                        stack.push(next);
                    }
                }
            }
            areas.sizes.push(size);
        }
        areas
    }
}

/// Sizes up to which areas vanish, round by round: what is small goes before what is less small.
const ROUNDS: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 18, 28, 48, 100, 400];

/// Gives areas of at most `least` places the label that most of the places around them have, the smallest first.
fn without_small(labels: &Labels, least: usize) -> Vec<u8> {
    let mut values = labels.values.clone();
    for size in ROUNDS.into_iter().take_while(|&size| size <= least) {
        let areas = Areas::of(&values, labels.across);
        let small = |at: usize| areas.sizes[areas.of[at] as usize] <= size;
        let mut around = vec![[0_u32; MOST_LABELS as usize]; areas.sizes.len()];
        for at in (0..values.len()).filter(|&at| small(at)) {
            // Small neighbours vanish too: their label would not stay.
            for next in neighbours(at, labels.across, values.len()).filter(|&next| !small(next)) {
                around[areas.of[at] as usize][usize::from(values[next])] += 1;
            }
        }
        let new = |counts: &[u32; MOST_LABELS as usize]| {
            let most = (0..MOST_LABELS).rev().max_by_key(|&label| counts[usize::from(label)])?;
            (counts[usize::from(most)] > 0).then_some(most)
        };
        let new: Vec<Option<u8>> = around.iter().map(new).collect();
        for (value, &area) in values.iter_mut().zip(&areas.of) {
            *value = new[area as usize].unwrap_or(*value);
        }
    }
    values
}

/// The label of the ground and the polygons upon it, in the order of painting.
pub fn polygons(labels: &Labels, tolerance: f32, least: usize) -> (u8, Vec<Polygon>) {
    let values = without_small(labels, least);
    let areas = Areas::of(&values, labels.across);
    let grid = Grid { areas: &areas, across: labels.across as i32, down: labels.down as i32 };
    let mut outlines: Vec<(i64, usize, Vec<Point>)> = (0..areas.labels.len())
        .map(|area| {
            let border = grid.border(area as u32);
            (enclosed(&border), area, border)
        })
        .collect();
    // What encloses more is painted first; of equals, the first.
    outlines.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let ground = outlines.first().map_or(0, |&(_, area, _)| areas.labels[area]);
    let polygon = |(_, area, border): &(i64, usize, Vec<Point>)| {
        let vertices = grid.simplified(border, tolerance);
        (vertices.len() >= 3).then(|| Polygon { label: areas.labels[*area], vertices })
    };
    (ground, outlines.iter().skip(1).filter_map(polygon).collect())
}

/// Places within a border, by Gauss's formula.
fn enclosed(border: &[Point]) -> i64 {
    let next = border.iter().cycle().skip(1);
    let twice: i64 = border
        .iter()
        .zip(next)
        .map(|(a, b)| i64::from(a.0) * i64::from(b.1) - i64::from(b.0) * i64::from(a.1))
        .sum();
    twice.abs() / 2
}

struct Grid<'a> {
    areas: &'a Areas,
    across: i32,
    down: i32,
}

impl Grid<'_> {
    fn area(&self, x: i32, y: i32) -> u32 {
        let inside = (0..self.across).contains(&x) && (0..self.down).contains(&y);
        if inside { self.areas.of[(y * self.across + x) as usize] } else { OUTSIDE }
    }

    /// The outer border of an area, corner by corner, the area to the right.
    fn border(&self, area: u32) -> Vec<Point> {
        let first = self.areas.first[area as usize] as i32;
        let start = (first % self.across, first / self.across);
        // East, south, west, north; and from a corner, the places to the right and to the left of each way on.
        const WAYS: [Point; 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];
        const RIGHT: [Point; 4] = [(0, 0), (-1, 0), (-1, -1), (0, -1)];
        const LEFT: [Point; 4] = [(0, -1), (0, 0), (-1, 0), (-1, -1)];
        let open = |at: Point, way: usize| {
            let beside = |by: [Point; 4]| self.area(at.0 + by[way].0, at.1 + by[way].1) == area;
            beside(RIGHT) && !beside(LEFT)
        };
        let (mut at, mut way) = (start, 0);
        let mut border = Vec::new();
        loop {
            border.push(at);
            at = (at.0 + WAYS[way].0, at.1 + WAYS[way].1);
            if at == start {
                return border;
            }
            // To the right first: places that touch at a corner alone are not connected.
            way =
                [1, 0, 3].map(|turn| (way + turn) % 4).into_iter().find(|&way| open(at, way)).unwrap_or(way);
        }
    }

    /// Whether more than two areas meet at a corner, or two at the edge of the grid; and the corners of the grid.
    fn fixed(&self, (x, y): Point) -> bool {
        let mut met: Vec<u32> = Vec::with_capacity(4);
        for (dx, dy) in [(-1, -1), (0, -1), (-1, 0), (0, 0)] {
            let area = self.area(x + dx, y + dy);
            if !met.contains(&area) {
                met.push(area);
            }
        }
        let edge = |at: i32, end: i32| at == 0 || at == end;
        met.len() > 2 || (edge(x, self.across) && edge(y, self.down))
    }

    /// A border with fewer corners.
    fn simplified(&self, border: &[Point], tolerance: f32) -> Vec<Point> {
        let count = border.len();
        let mut cuts: Vec<usize> = (0..count).filter(|&at| self.fixed(border[at])).collect();
        if cuts.is_empty() {
            // A ring: it is cut at its first corner in reading order and at the one that is farthest from it.
            let key = |at: &usize| (border[*at].1, border[*at].0);
            let first = (0..count).min_by_key(key).unwrap_or(0);
            let far = |at: &usize| {
                let (dx, dy) = (border[*at].0 - border[first].0, border[*at].1 - border[first].1);
                (dx * dx + dy * dy, std::cmp::Reverse(key(at)))
            };
            cuts = vec![first, (0..count).max_by_key(far).unwrap_or(0)];
            cuts.sort_unstable();
            cuts.dedup();
        }
        let mut vertices = Vec::new();
        for (at, &from) in cuts.iter().enumerate() {
            let to = cuts.get(at + 1).copied().unwrap_or(cuts[0] + count);
            let mut line: Vec<Point> = (from..=to).map(|at| border[at % count]).collect();
            let backwards: Vec<Point> = line.iter().rev().copied().collect();
            let turned = backwards < line;
            if turned {
                line = backwards;
            }
            let mut kept = reduced(&line, tolerance);
            if turned {
                kept.reverse();
            }
            kept.pop();
            vertices.extend(kept);
        }
        // A cut on a straight line is no corner of the polygon.
        let straight = |a: Point, b: Point, c: Point| (b.0 - a.0) * (c.1 - b.1) == (b.1 - a.1) * (c.0 - b.0);
        let length = vertices.len();
        (0..length)
            .filter(|&at| {
                !straight(vertices[(at + length - 1) % length], vertices[at], vertices[(at + 1) % length])
            })
            .map(|at| vertices[at])
            .collect()
    }
}

/// Keeps the ends of a line, and whatever is further than `tolerance` from the line that is left.
fn reduced(line: &[Point], tolerance: f32) -> Vec<Point> {
    let mut keep = vec![false; line.len()];
    let last = line.len() - 1;
    (keep[0], keep[last]) = (true, true);
    let mut parts = vec![(0, last)];
    while let Some((from, to)) = parts.pop() {
        let far = |at: usize| distance(line[at], line[from], line[to]);
        let mut farthest = (tolerance + 1.0e-4, 0);
        for at in from + 1..to {
            if far(at) > farthest.0 {
                farthest = (far(at), at);
            }
        }
        if farthest.1 > 0 {
            keep[farthest.1] = true;
            parts.push((from, farthest.1));
            parts.push((farthest.1, to));
        }
    }
    line.iter().zip(keep).filter(|(_, keep)| *keep).map(|(point, _)| *point).collect()
}

/// From a point to a stretch of line.
fn distance(point: Point, from: Point, to: Point) -> f32 {
    let (dx, dy) = ((to.0 - from.0) as f32, (to.1 - from.1) as f32);
    let (px, py) = ((point.0 - from.0) as f32, (point.1 - from.1) as f32);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (px - along * dx).hypot(py - along * dy)
}
