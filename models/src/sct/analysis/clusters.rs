//! Superpixels → a few regions: those whose colour and texture differ least become one, again and again.
//!
//! Two groups of n and m blocks whose features differ by d cost n·m/(n+m)·d² to merge: what the sum of squares within
//! groups grows by (J. H. Ward: Hierarchical grouping to optimize an objective function. JASA 58, 1963).

/// Numbers that describe a group: lightness, two of colour, texture, and its place across and down.
pub type Features = [f32; 6];

/// How much each of [`Features`] counts: hue over shade, place a little.
const WEIGHT: Features = [0.7, 1.0, 1.0, 1.5, 4.0, 6.0];
/// Groups whose mean features differ by less than this are one thing, however few there are.
const ALIKE: f32 = 36.0;
/// Groups of at least this share of all blocks stand on their own; smaller ones are merged more readily.
const SMALL: f32 = 0.02;

#[derive(Clone)]
struct Group {
    features: Features,
    blocks: f32,
}

fn distance(a: &Features, b: &Features) -> f32 {
    (0..a.len()).map(|at| (WEIGHT[at] * (a[at] - b[at])).powi(2)).sum()
}

/// Merges groups, given by their features and numbers of blocks, until there are at most `most`, and then those that are
/// alike. Tells for each group which of the remaining it belongs to, and how many remain.
pub fn merge(groups: &[(Features, usize)], most: usize) -> (Vec<usize>, usize) {
    let mut of: Vec<usize> = (0..groups.len()).collect();
    let mut alive: Vec<Option<Group>> = groups
        .iter()
        .map(|&(features, blocks)| (blocks > 0).then_some(Group { features, blocks: blocks as f32 }))
        .collect();
    let total: f32 = groups.iter().map(|group| group.1 as f32).sum();
    let cost = |a: &Group, b: &Group| {
        let both = a.blocks * b.blocks / (a.blocks + b.blocks);
        both * distance(&a.features, &b.features)
    };
    let mut left = alive.iter().flatten().count();
    while left > 1 {
        let mut cheapest: Option<(f32, usize, usize)> = None;
        for (i, a) in alive.iter().enumerate() {
            let Some(a) = a else { continue };
            for (j, b) in alive.iter().enumerate().skip(i + 1) {
                let Some(b) = b else { continue };
                let cost = cost(a, b);
                if cheapest.is_none_or(|(least, ..)| cost < least) {
                    cheapest = Some((cost, i, j));
                }
            }
        }
        let Some((_, i, j)) = cheapest else { break };
        let (Some(a), Some(b)) = (alive[i].clone(), alive[j].clone()) else { break };
        let tiny = a.blocks.min(b.blocks) < SMALL * total;
        if left <= most.max(1) && !tiny && distance(&a.features, &b.features) > ALIKE {
            break;
        }
        let blocks = a.blocks + b.blocks;
        let mix = |at: usize| (a.features[at] * a.blocks + b.features[at] * b.blocks) / blocks;
        alive[i] = Some(Group { features: std::array::from_fn(mix), blocks });
        alive[j] = None;
        of.iter_mut().filter(|of| **of == j).for_each(|of| *of = i);
        left -= 1;
    }
    // Numbers without gaps; what has no blocks goes anywhere.
    let kept: Vec<usize> = (0..alive.len()).filter(|&at| alive[at].is_some()).collect();
    let number = |group: &usize| kept.iter().position(|kept| kept == group).unwrap_or(0);
    (of.iter().map(number).collect(), kept.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alike_become_one_and_few_remain() {
        let group = |lightness: f32, blocks| ([lightness, 0.0, 0.0, 0.0, 0.0, 0.0], blocks);
        let groups = [group(10.0, 5), group(11.0, 5), group(80.0, 5), group(82.0, 9), group(50.0, 0)];
        let (of, count) = merge(&groups, 12);
        assert_eq!(count, 2);
        assert!(of[0] == of[1] && of[2] == of[3] && of[0] != of[2] && of[4] < 2);
        let many: Vec<_> = (0..60).map(|at| group(at as f32 * 30.0, 3)).collect();
        assert_eq!(merge(&many, 12).1, 12);
        assert_eq!(merge(&[], 12), (vec![], 0));
        assert_eq!(merge(&[group(1.0, 1)], 12), (vec![0], 1));
    }
}
