//! Maps are finite and about one, whatever comes in; users are understood.

use proptest::prelude::*;

use super::*;

fn picture(width: u32, height: u32, seed: u32) -> Picture {
    let value = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8;
    Picture::new(width, height, (0..3 * width * height).map(value).collect()).unwrap()
}

#[test]
fn bits_grow_with_the_values() {
    // Two channels of three blocks.
    let bits = entropy(&[0.0, 1.0, 3.0, 0.0, 0.0, 2.0], &[1.0, 4.0], 3);
    assert_eq!(bits[0], 0.0);
    assert!((bits[1] - 0.5).abs() < 1e-6);
    assert!((bits[2] - 0.5 * (10.0_f32.log2() + 1.0)).abs() < 1e-5);
    assert!(entropy(&[f32::NAN, f32::INFINITY], &[1.0], 2).iter().all(|bits| bits.is_finite()));
}

#[test]
fn classes_are_found_by_name() {
    let names = |names: &[&str]| numbers(&names.iter().map(|name| (*name).into()).collect::<Vec<String>>());
    assert_eq!(names(&["person", "car"]).unwrap(), [1, 3]);
    assert!(names(&["person", "unicorn"]).unwrap_err().to_string().contains("vegetation"));
}

#[test]
fn given_maps_and_masks_are_stretched() {
    let grey = Raster { width: 2, height: 1, values: vec![0, 255] };
    let picture = picture(64, 32, 1);
    let intent = Intent { importance: Importance::Map(grey.clone()), ..Intent::default() };
    let map = measure(&picture, &[1.0; 8], &[0; 8], &intent, None).unwrap();
    assert!(map[0] < 0.1 && map[3] > 1.9 && map[4] < 0.1 && map[7] > 1.9, "{map:?}");
    let kept = kept(&Keep::Mask(grey), &[0; 8], 4, 2).unwrap();
    assert_eq!(kept, [false, false, true, true, false, false, true, true]);
}

proptest! {
    #[test]
    fn maps_have_a_mean_of_one(values in prop::collection::vec(prop::num::f32::ANY, 1..50)) {
        let mut map = values;
        normalise(&mut map);
        prop_assert!(map.iter().all(|value| value.is_finite() && *value >= 0.0));
        let mean = map.iter().map(|&value| f64::from(value)).sum::<f64>() / map.len() as f64;
        prop_assert!((mean - 1.0).abs() < 1e-3, "{}", mean);
    }

    #[test]
    fn every_picture_has_importance(width in 1_u32..80, height in 1_u32..80, seed: u32, e in 0_u8..3, s in 1_u8..3, g in 0_u8..3) {
        let blocks = (width.div_ceil(16) * height.div_ceil(16)) as usize;
        let importance = Importance::Parts(Parts { entropy: e, saliency: s, gradcam: g });
        let intent = Intent { importance, ..Intent::default() };
        let map = measure(&picture(width, height, seed), &vec![2.0; blocks], &vec![1; blocks], &intent, None).unwrap();
        prop_assert_eq!(map.len(), blocks);
        prop_assert!(map.iter().all(|value| value.is_finite() && *value >= 0.0));
    }
}
