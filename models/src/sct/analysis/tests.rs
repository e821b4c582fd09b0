//! Every picture has regions, and they are what they should be.

use proptest::prelude::*;

use super::*;
use semcast_common::intent::{Importance, Parts, Raster};

fn blocks(picture: &Picture) -> usize {
    (picture.width().div_ceil(16) * picture.height().div_ceil(16)) as usize
}

fn check(analysis: &Analysis) {
    assert_eq!(analysis.of_block.len(), analysis.across * analysis.down);
    assert!((1..=MAX_REGIONS).contains(&analysis.regions.len()));
    assert!(analysis.sizes().iter().all(|&size| size > 0), "{:?}", analysis.sizes());
    assert!(analysis.regions.windows(2).all(|pair| pair[0].importance >= pair[1].importance));
    assert!(analysis.regions.iter().all(|region| region.importance.is_finite() && region.importance >= 0.0));
    let densities = analysis.densities();
    let mean: f32 = densities.iter().zip(analysis.sizes()).map(|(density, size)| density * size as f32).sum();
    assert!((mean / analysis.of_block.len() as f32 - 1.0).abs() < 1e-3);
    assert!(analysis.spread().is_finite());
}

/// Red on the left, blue on the right, and a green square of 48 pixels in the middle of the left.
fn scene() -> Picture {
    let (width, height) = (320, 192);
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        if (64..112).contains(&x) && (64..112).contains(&y) {
            [30, 200, 40]
        } else if x < 160 {
            [200, 40, 40]
        } else {
            [40, 40, 200]
        }
    };
    Picture::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
}

#[test]
fn colours_are_regions() {
    let picture = scene();
    let analysis = analyse(&picture, &vec![1.0; blocks(&picture)], &Intent::default(), None).unwrap();
    check(&analysis);
    assert_eq!(analysis.regions.len(), 3, "{:?}", analysis.sizes());
    let at = |x: usize, y: usize| analysis.of_block[y * analysis.across + x];
    assert!(at(0, 0) != at(15, 0) && at(5, 5) != at(0, 0) && at(5, 5) != at(15, 0));
    assert_eq!(analysis.sizes()[usize::from(at(5, 5))], 9);
    assert!(analysis.regions.iter().all(|region| region.class.is_none()));
    let again = analyse(&picture, &vec![1.0; blocks(&picture)], &Intent::default(), None).unwrap();
    assert_eq!(analysis, again);
}

#[test]
fn sizes_from_one_pixel_to_the_largest() {
    for (width, height) in [(1, 1), (16, 16), (17, 1), (16_384, 2000), (3, 5000)] {
        let value = |at: u32| ((at / 3 % width) >> 6) as u8 ^ ((at / 3 / width) >> 5) as u8;
        let rgb = (0..3 * width * height).map(|at| value(at).wrapping_mul(37)).collect();
        let picture = Picture::new(width, height, rgb).unwrap();
        let entropy = vec![1.0; blocks(&picture)];
        check(&analyse(&picture, &entropy, &Intent::default(), None).unwrap());
    }
}

#[test]
fn a_flat_picture_is_one_region() {
    let picture = Picture::new(200, 100, [77; 60_000].to_vec()).unwrap();
    let analysis = analyse(&picture, &vec![0.0; blocks(&picture)], &Intent::default(), None).unwrap();
    check(&analysis);
    assert_eq!(analysis.regions.len(), 1);
}

#[test]
fn the_wrong_number_of_blocks_is_an_error() {
    let error = analyse(&scene(), &[1.0; 3], &Intent::default(), None).unwrap_err().to_string();
    assert!(error.contains("20 x 12"), "{error}");
}

fn cut(classes: &[u8], keep: &[u8]) -> (Vec<u8>, Vec<Option<u8>>) {
    let picture = scene();
    let protected = |class: usize| keep.contains(&(class as u8));
    let cut = Cut { picture: &picture, across: 20, classes, protected: &protected };
    cut.regions(&[true; 240], MAX_REGIONS)
}

#[test]
fn known_classes_are_regions_and_the_rest_is_cut_by_colour() {
    let mut classes = vec![OTHER; 240];
    classes[..40].fill(13);
    classes[200..].fill(10);
    let (of_block, regions) = cut(&classes, &[]);
    assert_eq!(regions.iter().flatten().count(), 2);
    assert!(regions.len() >= 4 && regions.len() <= 2 + MOST_UNKNOWN, "{regions:?}");
    let sky = of_block[0];
    assert!(of_block.iter().zip(&classes).all(|(&region, &class)| (region == sky) == (class == 13)));
}

#[test]
fn classes_that_are_asked_for_are_never_merged() {
    // All fourteen, one of a single block.
    let mut classes: Vec<u8> = (0..240).map(|at| 2 + (at % 13) as u8).collect();
    classes[77] = 1;
    let (of_block, regions) = cut(&classes, &[1]);
    assert!(regions.len() <= MAX_REGIONS && regions.contains(&Some(1)));
    let person = regions.iter().position(|&class| class == Some(1)).unwrap();
    assert_eq!(of_block.iter().filter(|&&region| usize::from(region) == person).count(), 1);
    // Nobody asks for it: too small for a region.
    let mut classes = vec![12; 240];
    classes[7] = 8;
    let (_, regions) = cut(&classes, &[]);
    assert!(!regions.contains(&Some(8)) || 1.0 >= LEAST_SHARE * 240.0);
}

#[test]
fn what_a_mask_keeps_has_regions_of_its_own() {
    let picture = scene();
    let inside = |block: usize| (4..7).contains(&(block % 20)) && (4..7).contains(&(block / 20));
    let values = (0..240).map(|block| if inside(block) { 255 } else { 0 }).collect();
    let mask = Raster { width: 20, height: 12, values };
    let intent = Intent { keep: Some(Keep::Mask(mask)), ..Intent::default() };
    let analysis = analyse(&picture, &[1.0; 240], &intent, None).unwrap();
    check(&analysis);
    for region in 0..analysis.regions.len() as u8 {
        let mut blocks = (0..240).filter(|&block| analysis.of_block[block] == region).map(inside);
        let first = blocks.next().unwrap();
        assert!(blocks.all(|other| other == first));
    }
    // Classes want someone who knows them.
    let keep = Some(Keep::Classes(vec!["person".into()]));
    let error = analyse(&picture, &[1.0; 240], &Intent { keep, ..Intent::default() }, None).unwrap_err();
    assert!(error.to_string().contains("--segmentation"), "{error}");
    let keep = Some(Keep::Classes(vec!["unicorn".into()]));
    assert!(analyse(&picture, &[1.0; 240], &Intent { keep, ..Intent::default() }, None).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_picture_has_regions(
        width in 1_u32..200, height in 1_u32..120, seed: u32, shift in 0_u32..24,
        entropy in prop::num::f32::ANY, mask in any::<[u8; 4]>(), keep: bool,
    ) {
        let value = |at: u32| ((at >> shift).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 11) as u8;
        let picture = Picture::new(width, height, (0..3 * width * height).map(value).collect()).unwrap();
        let mask = Raster { width: 2, height: 2, values: mask.to_vec() };
        let intent = Intent {
            importance: Importance::Parts(Parts { entropy: 1, saliency: 1, gradcam: 1 }),
            keep: keep.then_some(Keep::Mask(mask)),
            ..Intent::default()
        };
        check(&analyse(&picture, &vec![entropy; blocks(&picture)], &intent, None).unwrap());
    }
}
