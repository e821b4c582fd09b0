use proptest::prelude::*;
use semcast_common::{
    config::Allocation,
    message::{Feature, ModelDigest, SystemId},
    segmentation::Assembly,
    wire::{FeatureQuality, ModeChoice, QuantisedSnr},
};
use semcast_phy::{
    framing::{ReceivedSegment, SegmentShape},
    numerology::Numerology,
    receive::Demodulator,
};

use super::*;
use crate::link_adaptation::{Descent, Link, LinkAdaptation, Report};

fn sendable(draft: &FrameDraft) -> Frame {
    draft.frame(0, 0)
}

fn receipt(missing: Vec<PartRange>, uncorrected: Vec<PartRange>) -> MessageReceipt {
    MessageReceipt {
        message_id: 9,
        session: 1,
        missing,
        uncorrected,
        frames: 1,
        snr_db: 0.0,
        complete: false,
        quality: Vec::new(),
    }
}

fn message(lengths: &[(bool, usize)]) -> OutgoingMessage {
    let features = lengths
        .iter()
        .enumerate()
        .map(|(index, &(analog, length))| Feature {
            importance: index as f32,
            payload: if analog {
                Payload::Analog((0..length).map(|i| Complex32::new(i as f32, 1.0)).collect())
            } else {
                Payload::Digital((0..length).map(|i| i as u8).collect())
            },
        })
        .collect();
    let message = SemanticMessage {
        system: SystemId::Ae,
        model: ModelDigest::default(),
        side: Bytes::from_static(&[1, 2, 3]),
        features,
    };
    OutgoingMessage::new(9, message).expect("a message within all limits")
}

/// Puts frames together as a receiver would that lost nothing.
fn assemble(outgoing: &OutgoingMessage, frames: &[FrameDraft]) -> Assembly {
    let mut assembly = Assembly::new(outgoing.header().clone());
    for frame in frames {
        let header = MessageHeader::parse(&frame.control).expect("control bytes of our own");
        assert!(header.same_message(outgoing.header()));
        assert_eq!(header.parts.len(), frame.segments.len());
        for (part, segment) in header.parts.iter().zip(&frame.segments) {
            match segment {
                Segment::Coded { bytes, .. } => assembly.add_digital(part.feature, part.start, bytes),
                Segment::Analog { symbols } => {
                    assembly.add_analog(part.feature, part.start, symbols, &vec![0.1; symbols.len()]);
                }
            }
        }
    }
    assembly
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn frames_carry_everything_and_can_be_sent(
        lengths in proptest::collection::vec((any::<bool>(), 1usize..60_000), 1..6),
        index in 0..Mcs::COUNT as u8,
        robust in any::<bool>(),
    ) {
        let mode = if robust { Mode::Robust } else { Mode::Normal };
        let mut modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&lengths);
        let mcs = Mcs::from_index(index).expect("a step of the ladder");
        let frames = outgoing.frames(&outgoing.all(mcs), mode, &modulator, None);
        prop_assert!(assemble(&outgoing, &frames).complete());
        // The longest and the last: a low step makes hundreds.
        for draft in frames.iter().take(2).chain(frames.last()) {
            let mut samples = Vec::new();
            let cost = modulator.modulate(&sendable(draft), &mut samples).expect("a frame that fits");
            prop_assert!(cost.payload > 0);
        }
    }

    /// Whatever receivers ask for: frames hold what is missing of the message, and can be sent.
    #[test]
    fn resending_brings_all_that_is_missing(
        lengths in proptest::collection::vec((any::<bool>(), 1usize..20_000), 1..4),
        rounds in proptest::collection::vec(
            (proptest::collection::vec((0u8..4, 0u32..20_000, 1u32..20_000, any::<bool>()), 1..4), any::<bool>()),
            1..5,
        ),
        index in 6u8..30,
    ) {
        let mut modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&lengths);
        let mcs = Mcs::from_index(index).expect("a step of the ladder");
        let first = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, None);
        prop_assert!(!first.is_empty());
        for (asked, robust) in rounds {
            let range = |&(feature, start, length, _): &(u8, u32, u32, bool)| {
                PartRange { feature, start, end: start + length }
            };
            let missing = PartRange::union(asked.iter().map(range).collect());
            let failed = asked.iter().filter(|asked| asked.3).map(range).collect();
            let mut lack = Lack::default();
            lack.add(receipt(missing.clone(), PartRange::union(failed)));
            let mode = if robust { Mode::Robust } else { Mode::Normal };
            let resending = Resending { mode, ceiling: mcs, combinable: mcs };
            let pieces = outgoing.again(&lack, &resending);
            let frames = outgoing.frames(&pieces, mode, &modulator, None);
            let left = assemble(&outgoing, &frames).missing(1000);
            for range in missing {
                prop_assert!(!left.iter().any(|left| left.overlaps(&range)), "{:?} of {:?}", range, left);
            }
            if let Some(draft) = frames.first() {
                modulator.modulate(&sendable(draft), &mut Vec::new()).expect("a frame that fits");
            }
        }
    }

    #[test]
    fn only_what_is_asked_for_is_sent_again(start in 0u32..9000, length in 1u32..9000) {
        let modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&[(false, 10_000), (true, 10_000)]);
        let wanted = PartRange { feature: 1, start, end: start + length };
        let frames = outgoing.frames(&[Piece::Fresh(wanted, Mcs::LOWEST)], Mode::Normal, &modulator, None);
        let lacking: u32 = assemble(&outgoing, &frames).missing(100).iter().map(|gap| gap.end - gap.start).sum();
        prop_assert_eq!(lacking, 20_000 - (start + length).min(10_000) + start);
    }
}

#[test]
fn a_receiver_that_heard_nothing_may_ask_for_more_than_there_is() {
    let modulator = Modulator::new(Numerology::default());
    let mut outgoing = message(&[(true, 100), (false, 300)]);
    let mcs = Mcs::select(10.0, 0.0);
    let first = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, None);
    let everything = (0..64).map(|feature| PartRange { feature, start: 0, end: u32::MAX }).collect();
    let mut lack = Lack::default();
    lack.add(receipt(everything, Vec::new()));
    let resending = Resending { mode: Mode::Normal, ceiling: mcs, combinable: mcs };
    let pieces = outgoing.again(&lack, &resending);
    assert_eq!(outgoing.frames(&pieces, Mode::Normal, &modulator, None), first);
}

#[test]
fn a_lost_segment_goes_again_with_the_same_number_of_coded_bits() {
    let modulator = Modulator::new(Numerology::default());
    let mut outgoing = message(&[(false, 30_000)]);
    let mcs = Mcs::select(8.0, 0.0);
    let first = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, None);
    let segments = |frames: &[FrameDraft]| -> Vec<_> {
        let of = |frame: &FrameDraft| frame.segments.iter().map(Segment::shape).collect::<Vec<_>>();
        frames.iter().flat_map(of).collect()
    };
    let everything = vec![PartRange { feature: 0, start: 0, end: 30_000 }];
    let mut lack = Lack::default();
    lack.add(receipt(everything.clone(), everything));
    let resending = Resending { mode: Mode::Normal, ceiling: mcs, combinable: mcs };
    let pieces = outgoing.again(&lack, &resending);
    let second = outgoing.frames(&pieces, Mode::Normal, &modulator, None);
    let with_version_2: Vec<_> = segments(&first)
        .into_iter()
        .map(|shape| match shape {
            SegmentShape::Coded { mcs, bytes, .. } => {
                SegmentShape::Coded { mcs, bytes, redundancy_version: 2 }
            }
            analog => analog,
        })
        .collect();
    assert_eq!(segments(&second), with_version_2);
}

/// The receiver asks for everything, twice: what then goes out is all of it, in robust frames, on the lowest
/// step.
#[test]
fn a_message_that_nobody_hears_falls_to_robust_frames() {
    let modulator = Modulator::new(Numerology::default());
    let mut outgoing = message(&[(false, 300)]);
    let link = Link::for_snr(12.0, 1.5);
    let mut descent = Descent::new(ModeChoice::Auto, link, 1.5);
    let (adaptation, now) = (LinkAdaptation::default(), std::time::Instant::now());
    outgoing.frames(&outgoing.all(link.mcs), link.mode, &modulator, None);
    let mut shapes = Vec::new();
    for _ in 0..2 {
        let everything = (0..64).map(|feature| PartRange { feature, start: 0, end: u32::MAX }).collect();
        let mut lack = Lack::default();
        lack.add(MessageReceipt { frames: 0, ..receipt(everything, Vec::new()) });
        assert!(lack.unheard);
        let resending = descent.next(lack.unheard, &adaptation, &[], now);
        let pieces = outgoing.again(&lack, &resending);
        let frames = outgoing.frames(&pieces, resending.mode, &modulator, None);
        assert!(assemble(&outgoing, &frames).complete());
        shapes.push((frames[0].protection.mode, frames[0].segments[0].shape()));
    }
    let (once, twice) = (shapes[0], shapes[1]);
    let as_before = SegmentShape::Coded { mcs: link.mcs.index(), redundancy_version: 0, bytes: 300 };
    assert_eq!(once, (Mode::Normal, as_before));
    assert_eq!(twice.0, Mode::Robust);
    assert!(matches!(twice.1, SegmentShape::Coded { mcs: 0, redundancy_version: 0, .. }), "{twice:?}");
}

#[test]
fn a_narrow_grid_carries_robust_frames_or_none() {
    for resource_blocks in [2, 6, 12] {
        let numerology = Numerology { resource_blocks, ..Numerology::default() };
        let mut modulator = Modulator::new(numerology);
        let mut outgoing = message(&[(false, 100), (true, 500)]);
        let frames = outgoing.frames(&outgoing.all(Mcs::LOWEST), Mode::Robust, &modulator, None);
        assert!(frames.is_empty() || assemble(&outgoing, &frames).complete());
        assert!(resource_blocks == 2 || !frames.is_empty(), "{resource_blocks} resource blocks");
        for draft in &frames {
            modulator.modulate(&sendable(draft), &mut Vec::new()).expect("a frame that fits");
        }
    }
}

#[test]
fn weak_features_go_again_by_importance_and_lack_as_far_as_there_is_room() {
    // Of the levels 3, 2, 1 and, the last, 0.
    let outgoing = message(&[(true, 100), (true, 200), (true, 300), (false, 10)]);
    let snr = |db| FeatureQuality::Analog { snr: QuantisedSnr::from_db(db) };
    let quality = vec![snr(-3.0), snr(8.0), snr(2.0), FeatureQuality::Digital { intact: true }];
    let mut lack = Lack::default();
    lack.add(MessageReceipt { quality, complete: true, ..receipt(Vec::new(), Vec::new()) });
    let weak = outgoing.weak(&lack);
    let features = |pieces: &[Piece]| -> Vec<(u8, u32)> {
        pieces.iter().map(|piece| (piece.range().feature, piece.range().end)).collect()
    };
    // The first has no importance, the second lacks 1 dB, the third 10 dB.
    assert_eq!(features(&weak), [(2, 300), (1, 200), (0, 100)]);
    assert_eq!(features(&outgoing.limited(weak, 350)), [(2, 300), (1, 50)]);
    // Another receiver has heard nothing of it: the worst counts.
    let mut good = Lack::default();
    let told = |db| vec![snr(db); 3];
    good.add(MessageReceipt { quality: told(20.0), ..receipt(Vec::new(), Vec::new()) });
    assert!(outgoing.weak(&good).is_empty());
    good.add(MessageReceipt { quality: told(5.0), ..receipt(Vec::new(), Vec::new()) });
    assert_eq!(outgoing.weak(&good).len(), 3);
}

#[test]
fn a_map_goes_out_in_the_first_frame_and_regions_in_all() {
    let modulator = Modulator::new(Numerology::default());
    // The last is the most important.
    let mut outgoing = message(&[(false, 30_000), (true, 60_000), (false, 300)]);
    let reports = [Report { session: 1, snr_db_per_rb: Some(vec![10.0; 25]) }];
    let allocator = Allocator::new(Allocation::Importance, 1, &reports, 25);
    let mcs = Mcs::select(10.0, 1.5);
    let frames = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, allocator.as_ref());
    assert!(frames.len() > 1 && assemble(&outgoing, &frames).complete());
    let carries = |frame: &FrameDraft, feature: u8| {
        let header = MessageHeader::parse(&frame.control).expect("control bytes of our own");
        header.parts.iter().any(|part| part.feature == feature)
    };
    let with_map: Vec<bool> = frames.iter().map(|frame| carries(frame, 2)).collect();
    assert!(with_map[0] && !with_map[1..].contains(&true), "{with_map:?}");
    assert!(frames[..2].iter().all(|frame| carries(frame, 0) && carries(frame, 1)));
}

#[test]
fn less_important_features_take_faster_steps() {
    let outgoing = message(&[(false, 10), (false, 10), (false, 10), (false, 10)]);
    let link = Mcs::select(12.0, 0.0);
    let steps: Vec<Mcs> = outgoing
        .all(link)
        .iter()
        .map(|piece| match piece {
            Piece::Fresh(_, mcs) | Piece::Again(_, mcs, _) => *mcs,
        })
        .collect();
    assert_eq!(steps, [0, 1, 2, 3].map(|level| protected(link, level)));
    assert!(steps.is_sorted() && steps[0] < steps[3] && steps[3] == link);
}

#[test]
fn the_most_important_feature_comes_first() {
    let outgoing = message(&[(false, 10), (true, 10), (false, 10)]);
    let order: Vec<_> = outgoing.all(Mcs::LOWEST).iter().map(|piece| piece.range().feature).collect();
    assert_eq!(order, [2, 1, 0]);
}

#[test]
fn one_feature_is_cut_where_frames_end_and_nowhere_else() {
    let modulator = Modulator::new(Numerology::default());
    let mut outgoing = message(&[(true, 200_000)]);
    let reports = [Report { session: 1, snr_db_per_rb: Some(vec![10.0; 25]) }];
    let allocator = Allocator::new(Allocation::Importance, 1, &reports, 25);
    assert!(allocator.is_some());
    let pieces = outgoing.all(Mcs::LOWEST);
    let frames = outgoing.frames(&pieces, Mode::Normal, &modulator, allocator.as_ref());
    assert!(frames.len() > 2);
    assert!(frames.iter().all(|frame| frame.segments.len() == 1 && frame.allocation.is_none()));
}

#[test]
fn with_an_allocation_every_frame_has_a_share_of_every_feature() {
    let mut modulator = Modulator::new(Numerology::default());
    let mut outgoing = message(&[(true, 80_000), (false, 18_000), (true, 60_000)]);
    let snr_db = (0..25).map(|rb| 10.0 + rb as f32 / 3.0).collect();
    let reports = [Report { session: 1, snr_db_per_rb: Some(snr_db) }];
    let allocator = Allocator::new(Allocation::Importance, 1, &reports, 25);
    let mcs = Mcs::select(10.0, 1.5);
    let frames = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, allocator.as_ref());
    assert!(assemble(&outgoing, &frames).complete());
    assert!(frames.len() >= 3);
    let mut received = 0;
    let mut demodulator = Demodulator::new(Numerology::default());
    for (index, draft) in frames.iter().enumerate() {
        let header = MessageHeader::parse(&draft.control).expect("control bytes of our own");
        let features: std::collections::BTreeSet<_> = header.parts.iter().map(|part| part.feature).collect();
        // The last frame takes what cutting left over.
        assert!(features.len() == 3 || index + 1 == frames.len(), "frame {index}: {features:?}");
        if features.len() == 3 {
            let order = draft.allocation.as_ref().expect("there is something to choose").order();
            assert_eq!(header.parts[usize::from(order[0])].feature, 2, "the most important first");
        }
        let mut samples = Vec::new();
        modulator.modulate(&sendable(draft), &mut samples).expect("a frame that fits");
        samples.resize(samples.len() + 20_000, Complex32::default());
        demodulator.push(&samples, &mut |frame| {
            received += 1;
            for (sent, got) in draft.segments.iter().zip(&frame.segments) {
                match (sent, got) {
                    (Segment::Coded { bytes, .. }, ReceivedSegment::Coded { decoded, .. }) => {
                        assert_eq!(decoded.as_ref(), Ok(bytes));
                    }
                    (Segment::Analog { symbols }, ReceivedSegment::Analog { symbols: got, .. }) => {
                        // Index and real part are the same number, up to the noise of the arithmetic.
                        let error: f32 = symbols.iter().zip(got).map(|(a, b)| (a - b).norm_sqr()).sum();
                        let power: f32 = symbols.iter().map(|a| a.norm_sqr()).sum();
                        assert!(error < 1e-3 * power, "{error} of {power}");
                    }
                    _ => panic!("a segment has become another one"),
                }
            }
        });
    }
    assert_eq!(received, frames.len());
}
