//! Which regions are sent: overall preserving sends all of them, selective preserving those that matter, and the receiver makes
//! up the rest from the map (paper 004, §III). Of those, what a budget has no room for at the coarsest is left out by
//! [`super::Sct`], the least important first; where the most important alone does not fit, the next that does is sent.

use semcast_common::intent::{Intent, Keep, Preserve};

use super::analysis::{Analysis, Region};
use super::importance::numbers;
use crate::ModelError;

/// Selective mode keeps regions whose density of importance is at least this.
const LEAST_DENSITY: f32 = 1.0;
/// Automatic choice: densities that spread more than this (standard deviation over blocks, mean 1) make it selective.
const SELECTIVE_SPREAD: f32 = 0.75;
/// By how much a chosen region counts more than its importance says, in overall mode.
const CHOSEN_FACTOR: f32 = 4.0;

/// Regions as they are to be sent, ordered again, and which of them are sent: at least one.
pub fn choose(analysis: Analysis, intent: &Intent) -> Result<(Analysis, Vec<bool>), ModelError> {
    let chosen = match &intent.keep {
        None => None,
        Some(Keep::Classes(names)) => Some(of_classes(&analysis, names)?),
        Some(Keep::Mask(mask)) => {
            let mut bright = vec![0; analysis.regions.len()];
            for (block, &region) in analysis.of_block.iter().enumerate() {
                let (row, column) = (block / analysis.across, block % analysis.across);
                let middle = |at: usize, count: usize| (at as f32 + 0.5) / count as f32;
                let value = mask.at(middle(column, analysis.across), middle(row, analysis.down));
                bright[usize::from(region)] += usize::from(value >= 128);
            }
            let half = |(bright, size): (&usize, usize)| 2 * bright >= size;
            Some(bright.iter().zip(analysis.sizes()).map(half).collect::<Vec<bool>>())
        }
    };
    let selective = match intent.preserve {
        Preserve::Overall => false,
        Preserve::Selective => true,
        Preserve::Auto => analysis.spread() > SELECTIVE_SPREAD,
    };
    let (analysis, chosen) = match chosen {
        None => (analysis, None),
        Some(chosen) => {
            let (analysis, chosen) = raised(&analysis, &chosen);
            (analysis, Some(chosen))
        }
    };
    let mut sent = match chosen {
        _ if !selective => vec![true; analysis.regions.len()],
        Some(chosen) => chosen,
        None => analysis.densities().iter().map(|&density| density >= LEAST_DENSITY).collect(),
    };
    if !sent.contains(&true) {
        sent[0] = true;
    }
    Ok((analysis, sent))
}

fn of_classes(analysis: &Analysis, names: &[String]) -> Result<Vec<bool>, ModelError> {
    let classes = numbers(names)?;
    let wanted = |region: &Region| region.class.is_some_and(|class| classes.contains(&class));
    Ok(analysis.regions.iter().map(wanted).collect())
}

/// With the importances of the chosen regions raised; and which these are now.
fn raised(analysis: &Analysis, chosen: &[bool]) -> (Analysis, Vec<bool>) {
    let sizes = analysis.sizes();
    let density = |region: usize| {
        let factor = if chosen[region] { CHOSEN_FACTOR } else { 1.0 };
        factor * analysis.regions[region].importance / sizes[region].max(1) as f32
    };
    let each: Vec<f32> = (0..sizes.len()).map(density).collect();
    let importance: Vec<f32> = analysis.of_block.iter().map(|&region| each[usize::from(region)]).collect();
    let classes: Vec<Option<u8>> = analysis.regions.iter().map(|region| region.class).collect();
    let raised = Analysis::new(analysis.across, &analysis.of_block, &importance, &classes);
    let mut now = vec![false; raised.regions.len()];
    for (&before, &after) in analysis.of_block.iter().zip(&raised.of_block) {
        now[usize::from(after)] = chosen[usize::from(before)];
    }
    (raised, now)
}

#[cfg(test)]
mod tests {
    use semcast_common::intent::Raster;

    use super::*;

    /// Four columns of two blocks each, with these importances.
    fn columns(importance: [f32; 4]) -> Analysis {
        let of_block: Vec<u8> = (0..8).map(|block| block % 4).collect();
        let each: Vec<f32> = (0..8).map(|block| importance[block % 4]).collect();
        Analysis::new(4, &of_block, &each, &[None; 4])
    }

    fn intent(preserve: Preserve) -> Intent {
        Intent { preserve, ..Intent::default() }
    }

    #[test]
    fn modes_choose_by_density() {
        let even = || columns([1.0, 1.1, 1.0, 0.9]);
        let uneven = || columns([9.0, 0.1, 0.2, 0.3]);
        let sent = |analysis, preserve| choose(analysis, &intent(preserve)).unwrap().1;
        assert_eq!(sent(uneven(), Preserve::Overall), [true; 4]);
        assert_eq!(sent(uneven(), Preserve::Selective), [true, false, false, false]);
        assert_eq!(sent(uneven(), Preserve::Auto), [true, false, false, false]);
        assert_eq!(sent(even(), Preserve::Auto), [true; 4]);
    }

    #[test]
    fn a_mask_chooses_regions_and_lifts_them() {
        // The right half.
        let mask = Raster { width: 2, height: 1, values: vec![0, 255] };
        let keep = Some(Keep::Mask(mask));
        let intent = Intent { keep, ..intent(Preserve::Selective) };
        let (analysis, sent) = choose(columns([4.0, 1.0, 2.0, 0.1]), &intent).unwrap();
        let kept = |block: usize| sent[usize::from(analysis.of_block[block])];
        assert_eq!([kept(0), kept(1), kept(2), kept(3)], [false, false, true, true]);
        assert!(analysis.regions.windows(2).all(|pair| pair[0].importance >= pair[1].importance));
        // Two blocks of 4 times 2.
        assert_eq!(analysis.regions[0].importance, 16.0);
    }

    #[test]
    fn an_unknown_class_is_refused() {
        let keep = Some(Keep::Classes(vec!["no such thing".into()]));
        let error = choose(columns([1.0; 4]), &Intent { keep, ..Intent::default() }).unwrap_err();
        assert!(error.to_string().contains("no such thing"));
    }
}
