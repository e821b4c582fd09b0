//! Exact where there is room, short where there is not, and never a panic.

use proptest::prelude::*;

use super::*;

/// A disc within a square upon stripes.
fn scene(across: usize, down: usize) -> Labels {
    let value = |at: usize| {
        let (x, y) = ((at % across) as f32 / across as f32, (at / across) as f32 / down as f32);
        let disc = (x - 0.5).powi(2) + (y - 0.5).powi(2) < 0.03;
        let square = (0.2..0.8).contains(&x) && (0.2..0.8).contains(&y);
        match (disc, square) {
            (true, _) => 5,
            (_, true) => 9,
            _ => (y * 3.0) as u8 + 1,
        }
    };
    Labels::new(across, down, (0..across * down).map(value).collect()).unwrap()
}

#[test]
fn enough_bytes_give_the_same_labels() {
    for (across, down) in [(1, 1), (7, 1), (1, 9), (48, 32), (96, 64)] {
        let labels = scene(across, down);
        let (bytes, painted) = labels.encode(usize::MAX);
        assert_eq!(painted, labels, "{across} x {down}");
        assert_eq!(Labels::decode(&bytes, across, down), Ok(labels));
    }
}

#[test]
fn few_bytes_give_about_the_same_labels() {
    let labels = scene(96, 64);
    let exact = labels.encode(usize::MAX).0.len();
    for (target, least) in [(75, 0.9), (60, 0.7), (50, 0.6), (35, 0.4)] {
        let (bytes, painted) = labels.encode(target);
        assert!(bytes.len() <= target && target < exact, "{} of {target}", bytes.len());
        let agreement = painted.agreement(&labels);
        assert!(agreement > least, "{agreement} at {target}");
    }
    // The coarsest there is, whatever is asked for.
    assert!(labels.encode(0).0.len() <= labels.encode(35).0.len());
}

#[test]
fn one_label_takes_two_bytes() {
    let labels = Labels::new(300, 200, vec![3; 60_000]).unwrap();
    let (bytes, painted) = labels.encode(100);
    assert_eq!((bytes.len(), painted), (2, labels));
}

#[test]
fn confetti_becomes_something() {
    let values = (0..300 * 300_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let labels = Labels::new(300, 300, values).unwrap();
    let (bytes, painted) = labels.encode(usize::MAX);
    assert_eq!(Labels::decode(&bytes, 300, 300), Ok(painted));
}

#[test]
fn wrong_grids_and_labels_are_errors() {
    assert_eq!(Labels::new(2, 2, vec![0, 1, 16, 0]), Err(GraphicError::Label(16)));
    for (across, down, given) in [(0, 5, 0), (5, 0, 0), (2, 2, 3), (5000, 1, 5000), (2048, 2048, 2048 * 2048)]
    {
        let found = Labels::new(across, down, vec![0; given]);
        assert_eq!(found, Err(GraphicError::Grid { across, down, given }));
    }
    assert!(matches!(Labels::decode(&[0; 4], usize::MAX, 2), Err(GraphicError::Grid { .. })));
    assert_eq!(Labels::decode(&[], 4, 4), Err(GraphicError::Short));
}

proptest! {
    #[test]
    fn any_labels_come_back(across in 1_usize..20, down in 1_usize..20, seed: u64, kinds in 1_u64..6, target in 0_usize..200) {
        let value = |at: u64| ((at + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % kinds;
        let values = (0..(across * down) as u64).map(|at| value(at) as u8).collect();
        let labels = Labels::new(across, down, values).unwrap();
        let (_, painted) = labels.encode(usize::MAX);
        prop_assert_eq!(&painted, &labels);
        let (bytes, painted) = labels.encode(target);
        prop_assert_eq!(Labels::decode(&bytes, across, down), Ok(painted));
    }

    #[test]
    fn any_bytes_are_labels_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600), across in 1_usize..200, down in 1_usize..200) {
        if let Ok(labels) = Labels::decode(&bytes, across, down) {
            prop_assert_eq!(labels.values.len(), across * down);
            prop_assert!(labels.values.iter().all(|&label| label < MOST_LABELS));
        }
    }
}
