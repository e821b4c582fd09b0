use bytes::Bytes;
use semcast_common::{
    message::{ModelDigest, ReceivedFeature, SystemId},
    segmentation::header::FeatureShape,
    wire::FeatureQuality,
};
use semcast_phy::{
    framing::{SoftBits, header::FrameHeader},
    mode::{ControlRate, Mode},
    receive::{ChannelState, ReceivedFrame},
};

use super::*;

const BYTES: u32 = 30;

/// Frame `number` carries bytes 10·part … 10·part + 9 of message 5.
fn heard(number: u16, part: u32, intact: bool) -> HeardFrame {
    let header = MessageHeader {
        message: 5,
        system: SystemId::Classical,
        model: ModelDigest::default(),
        side: Bytes::new(),
        features: vec![FeatureShape::Digital { bytes: BYTES }],
        parts: vec![Part { feature: 0, start: 10 * part }],
    };
    let decoded = if intact { Ok(Bytes::from(vec![part as u8; 10])) } else { Err(SoftBits(Vec::new())) };
    let segment = ReceivedSegment::Coded { mcs: 0, redundancy_version: 0, length: 10, decoded };
    HeardFrame {
        frame: received(number, &header, vec![segment]),
        segments_combined: 0,
        first_sample_unix_us: 1,
        last_sample_unix_us: 2,
        done_unix_us: 2,
        demodulate: Duration::from_millis(1),
    }
}

/// A frame of transmitter 3, as the demodulator gives it.
pub(crate) fn received(number: u16, header: &MessageHeader, segments: Vec<ReceivedSegment>) -> ReceivedFrame {
    ReceivedFrame {
        mode: Mode::Normal,
        position: 0,
        samples: 1000,
        header: FrameHeader {
            control_bytes: 1,
            payload_symbols: 1,
            control_rate: ControlRate::default(),
            number,
            transmitter: 3,
        },
        control: header.to_bytes(),
        segments,
        channel: ChannelState {
            snr_db_per_rb: vec![10.0; 25],
            snr_db: 10.0,
            cfo_hz: 1.0,
            clock_offset_ppm: 0.0,
        },
    }
}

fn sent(last_frame: u16, last: bool) -> MessageSent {
    MessageSent { message_id: 5, session: 3, last_frame, frames: 3, last }
}

fn missing(actions: &[Action]) -> Vec<(u32, u32)> {
    match actions {
        [Action::Receipt(receipt)] => receipt.missing.iter().map(|range| (range.start, range.end)).collect(),
        other => panic!("a receipt is expected, not {other:?}"),
    }
}

#[test]
fn a_complete_message_is_decoded_once() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    assert!(reception.frame(&heard(0, 2, true), now).unwrap().is_empty());
    assert!(reception.frame(&heard(1, 0, true), now).unwrap().is_empty());
    let actions = reception.frame(&heard(2, 1, true), now).unwrap();
    let [Action::Receipt(receipt), Action::Decode(work)] = &actions[..] else {
        panic!("a receipt and a message to decode, not {actions:?}");
    };
    assert!(receipt.complete && receipt.missing.is_empty());
    let ReceivedFeature::Digital { bytes, missing } = &work.1.features[0] else {
        panic!("a digital feature was sent");
    };
    assert!(missing.is_empty());
    assert_eq!((bytes[0], bytes[10], bytes[20]), (0, 1, 2));
    assert_eq!((work.0.frames, work.0.arrived, work.0.missing), (3, 30, 0));
    assert!(reception.frame(&heard(2, 1, true), now).unwrap().is_empty(), "decoded already");
    let again = reception.sent(sent(2, true), now);
    assert!(matches!(&again[..], [Action::Receipt(receipt)] if receipt.complete));
}

#[test]
fn what_failed_is_asked_for_when_the_last_frame_of_the_round_is_there() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&heard(0, 0, true), now).unwrap();
    reception.frame(&heard(1, 1, false), now).unwrap();
    assert!(reception.sent(sent(2, false), now).is_empty(), "the last frame is on its way");
    let actions = reception.frame(&heard(2, 2, true), now).unwrap();
    assert_eq!(missing(&actions), [(10, 20)]);
    let actions = reception.frame(&heard(3, 1, true), now).unwrap();
    assert!(matches!(&actions[..], [Action::Receipt(_), Action::Decode(_)]));
}

#[test]
fn what_came_uncorrected_is_told_from_what_was_not_heard() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&heard(0, 0, false), now).unwrap();
    reception.frame(&heard(1, 1, true), now).unwrap();
    reception.sent(sent(2, false), now);
    let actions = reception.tick(now + SILENCE, now, true);
    let [Action::Receipt(receipt)] = &actions[..] else { panic!("a receipt, not {actions:?}") };
    let range = |start, end| PartRange { feature: 0, start, end };
    assert_eq!(receipt.missing, [range(0, 10), range(20, 30)]);
    assert_eq!(receipt.uncorrected, [range(0, 10)]);
    assert_eq!(receipt.frames, 2);

    // Corrected in the next round by what was kept: no more to be told of it, and counted.
    let mut corrected = heard(3, 0, true);
    corrected.segments_combined = 1;
    reception.frame(&corrected, now).unwrap();
    reception.frame(&heard(4, 2, false), now).unwrap();
    let actions = reception.sent(sent(4, false), now);
    let [Action::Receipt(receipt)] = &actions[..] else { panic!("a receipt, not {actions:?}") };
    assert_eq!((&receipt.missing, &receipt.uncorrected), (&vec![range(20, 30)], &vec![range(20, 30)]));
    let actions = reception.frame(&heard(5, 2, true), now).unwrap();
    assert!(matches!(&actions[..], [_, Action::Decode(work)] if work.0.segments_combined == 1));
}

#[test]
fn segments_that_do_not_fit_their_message_are_not_asked_for() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    let mut odd = heard(0, 2, false);
    if let ReceivedSegment::Coded { length, .. } = &mut odd.frame.segments[0] {
        *length = usize::MAX;
    }
    reception.frame(&odd, now).unwrap();
    let actions = reception.sent(sent(0, false), now);
    assert!(matches!(&actions[..], [Action::Receipt(receipt)] if receipt.uncorrected.is_empty()));
}

#[test]
fn a_lost_last_frame_is_noticed_when_the_radio_falls_silent() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&heard(0, 0, true), now).unwrap();
    reception.sent(sent(2, false), now);
    assert!(reception.tick(now + SILENCE / 2, now, true).is_empty());
    let actions = reception.tick(now + SILENCE, now, true);
    assert_eq!(missing(&actions), [(10, 30)]);
}

#[test]
fn on_a_radio_that_is_never_silent_patience_ends_too() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&heard(0, 0, true), now).unwrap();
    reception.sent(sent(2, false), now);
    let later = now + PATIENCE;
    assert!(reception.tick(later - Duration::from_millis(1), later, true).is_empty());
    assert_eq!(missing(&reception.tick(later, later, true)), [(10, 30)]);
}

#[test]
fn after_the_last_round_the_decoder_gets_what_there_is() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&heard(0, 0, true), now).unwrap();
    let actions = reception.sent(sent(0, true), now);
    let [Action::Receipt(receipt), Action::Decode(work)] = &actions[..] else {
        panic!("a receipt and a message to decode, not {actions:?}");
    };
    assert!(!receipt.complete);
    assert_eq!((work.0.arrived, work.0.missing), (10, 20));
}

#[test]
fn a_message_of_which_nothing_came_is_asked_for_and_then_lost() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    assert!(reception.sent(sent(2, false), now).is_empty());
    let actions = reception.tick(now + SILENCE, now, true);
    assert_eq!(missing(&actions)[0], (0, u32::MAX));
    reception.sent(sent(4, true), now);
    let actions = reception.tick(now + SILENCE, now, true);
    assert!(matches!(&actions[..], [Action::Lost(_)]));
}

#[test]
fn what_was_said_before_a_message_was_heard_still_counts() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    assert!(reception.sent(sent(0, false), now).is_empty());
    let actions = reception.frame(&heard(0, 0, false), now).unwrap();
    assert_eq!(missing(&actions), [(0, 30)]);
}

#[test]
fn without_a_control_link_a_message_ends_when_nothing_is_added() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&heard(0, 0, true), now).unwrap();
    assert!(reception.tick(now + ONE_WAY_PATIENCE / 2, now, false).is_empty());
    let actions = reception.tick(now + ONE_WAY_PATIENCE, now, false);
    assert!(matches!(&actions[..], [Action::Receipt(_), Action::Decode(_)]));
}

/// Frame `number` carries one of two features of ten bytes of message 6.
fn of_two(number: u16, feature: u8) -> HeardFrame {
    let mut heard = heard(number, 0, true);
    let header = MessageHeader {
        message: 6,
        system: SystemId::SctModular,
        model: ModelDigest::default(),
        side: Bytes::new(),
        features: vec![FeatureShape::Digital { bytes: 10 }; 2],
        parts: vec![Part { feature, start: 0 }],
    };
    heard.frame.control = header.to_bytes();
    heard
}

fn two_sent(last_frame: u16, last: bool) -> MessageSent {
    MessageSent { message_id: 6, ..sent(last_frame, last) }
}

#[test]
fn what_came_of_several_features_is_decoded_after_each_round() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.frame(&of_two(0, 1), now).unwrap();
    let actions = reception.sent(two_sent(0, false), now);
    let [Action::Receipt(receipt), Action::Decode(work)] = &actions[..] else {
        panic!("a receipt and what came so far, not {actions:?}");
    };
    assert!(!receipt.complete && work.0.intermediate);
    let expected = [false, true].map(|intact| FeatureQuality::Digital { intact });
    assert_eq!(receipt.quality, expected);
    let actions = reception.frame(&of_two(1, 0), now).unwrap();
    assert!(matches!(&actions[..], [_, Action::Decode(work)] if !work.0.intermediate));
}

#[test]
fn a_message_that_is_refined_ends_with_its_last_round() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    reception.announced_refined(3, 6);
    reception.frame(&of_two(0, 1), now).unwrap();
    assert!(reception.frame(&of_two(1, 0), now).unwrap().is_empty(), "complete, but not ended");
    let actions = reception.sent(two_sent(1, false), now);
    let [Action::Receipt(receipt), Action::Decode(work)] = &actions[..] else {
        panic!("a receipt and what came so far, not {actions:?}");
    };
    assert!(receipt.complete && work.0.intermediate);
    let actions = reception.sent(two_sent(1, true), now);
    assert!(matches!(&actions[..], [Action::Receipt(_), Action::Decode(work)] if !work.0.intermediate));
    for message in 0..100 {
        reception.announced_refined(3, message);
    }
    assert!(reception.refined.len() <= MAX_OPEN);
}

#[test]
fn many_broken_messages_do_not_fill_the_memory() {
    let (mut reception, now) = (Reception::default(), Instant::now());
    for transmitter in 0..1000 {
        let mut frame = heard(0, 0, false);
        frame.frame.header.transmitter = transmitter;
        reception.frame(&frame, now).unwrap();
        assert!(reception.open.len() <= MAX_OPEN && reception.done.len() <= MAX_DONE);
    }
}
