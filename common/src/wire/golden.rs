//! The layout, pinned: every message with the bytes that it is, committed. A test that fails here means
//! that this release cannot talk to older ones: raise [`super::VERSION`], then renew the bytes.

use proptest::prelude::*;

use super::*;
use crate::clock::ClockOffset;
use crate::intent::{Importance, Intent, Keep, Preserve, Purpose, Raster};
use crate::message::{ModelDigest, SystemId};
use crate::segmentation::PartRange;

fn receiver_part() -> ReceiverPart {
    ReceiverPart {
        message_id: 258,
        session: 7,
        system: SystemId::Ae,
        confidence: 0.5,
        snr_db_estimated: 14.75,
        cfo_hz_estimated: -100.0,
        frames_received: 3,
        segments_combined: 2,
        arrived: 12,
        missing: 1,
        device: "cpu".into(),
        timings: ReceiverTimings {
            demodulate_ms: 1.0,
            decode_ms: 2.0,
            first_sample_unix_us: 1_700_000_000_000_000,
            last_sample_unix_us: 1_700_000_000_000_001,
            demodulated_unix_us: 1_700_000_000_000_002,
            decoded_unix_us: 1_700_000_000_000_003,
        },
    }
}

fn transmitter_part() -> TransmitterPart {
    TransmitterPart {
        message_id: 258,
        session: 7,
        system: SystemId::Classical,
        model: ModelDigest([1, 2, 3, 4, 5, 6, 7, 8]),
        content: ContentKind::Picture { width: 640, height: 480 },
        bytes_source: 70_000,
        bytes_coded: 9000,
        symbols_payload: 57_600,
        overhead: Overhead {
            sounding: 2100,
            preamble: 1200,
            header: 575,
            control: 1872,
            pilots: 3700,
            padding: 13,
        },
        airtime_ms: 20.5,
        mcs: "16-QAM 1/2".into(),
        mode: "normal".into(),
        frames_sent: 4,
        resends: 1,
        device: "cpu".into(),
        timings: TransmitterTimings {
            encode_ms: 3.0,
            modulate_ms: 4.0,
            started_unix_us: 1,
            encode_started_unix_us: 4,
            first_sample_unix_us: 2,
            last_sample_unix_us: 3,
        },
    }
}

/// One message of every variant, with its bytes.
fn golden() -> Vec<(ControlMessage, &'static str)> {
    let hello = Hello::new(Role::Receiver, "field")
        .with_systems([(SystemId::Classical, ModelDigest::default()), (SystemId::Ae, ModelDigest([9; 8]))])
        .with_numerology(NumerologyId {
            sample_rate_hz: 7_680_000,
            fft_size: 512,
            cyclic_prefix: 36,
            resource_blocks: 25,
            revision: 1,
        });
    vec![
        (
            ControlMessage::Hello(hello),
            "0500010102000000000000000000010909090909090909056669656c6401fc00307500fb0002241901",
        ),
        (
            ControlMessage::Welcome(Welcome { hello: Hello::new(Role::Transmitter, "mast"), session: 300 }),
            "0501010000046d61737400fb2c01",
        ),
        (
            ControlMessage::Refused(Refusal::new(RefusalCode::Systems, "no system in common")),
            "050203136e6f2073797374656d20696e20636f6d6d6f6e",
        ),
        (
            ControlMessage::ChannelState(ChannelState::new(1000, &[-20.0, 0.0, 15.0, 50.0], 12.5, -250.0)),
            "0503fbe8030400508cff0000484100007ac3",
        ),
        (
            ControlMessage::Receipt(MessageReceipt {
                message_id: 258,
                session: 7,
                missing: vec![
                    PartRange { feature: 0, start: 3, end: 300 },
                    PartRange { feature: 2, start: 0, end: 70_000 },
                ],
                uncorrected: vec![PartRange { feature: 2, start: 0, end: 500 }],
                frames: 2,
                snr_db: 9.5,
                complete: false,
                quality: vec![
                    FeatureQuality::Digital { intact: true },
                    FeatureQuality::Analog { snr: QuantisedSnr::from_db(9.5) },
                ],
            }),
            "0504fb020107020003fb2c010200fc70110100010200fbf4010200001841000200010176",
        ),
        (
            ControlMessage::Decoded(Decoded { message_id: 258, session: 7, part: receiver_part() }),
            "0505fb020107fb020107010000003f00006c410000c8c203020c01036370750000803f00000040fd0040\
             1e18240a0600fd01401e18240a0600fd02401e18240a0600fd03401e18240a0600",
        ),
        (
            ControlMessage::Undecodable(Undecodable::new(258, 7, "too much is missing")),
            "0506fb02010713746f6f206d756368206973206d697373696e67",
        ),
        (
            ControlMessage::Announced(MessageAnnounced {
                message_id: 258,
                session: 7,
                system: SystemId::SctModular,
                refined: true,
            }),
            "0507fb0201070401",
        ),
        (
            ControlMessage::Sent(MessageSent {
                message_id: 258,
                session: 7,
                last_frame: 13,
                frames: 4,
                last: true,
            }),
            "0508fb0201070d0401",
        ),
        (ControlMessage::Abandoned { message_id: 258, session: 7 }, "0509fb020107"),
        (
            ControlMessage::Submit(Submit {
                kind: SubmitKind::Text,
                options: SendOptions {
                    system: Some(SystemId::Ae),
                    cbr: Some(0.0625),
                    design_snr_db: None,
                    mcs: Some(5),
                    frames: Some(ModeChoice::Robust),
                    max_resends: Some(0),
                    budget_ms: Some(400),
                    intent: Intent {
                        preserve: Preserve::Selective,
                        purpose: Purpose::Machine,
                        importance: Importance::Map(Raster { width: 1, height: 2, values: vec![3, 255] }),
                        keep: Some(Keep::Classes(vec!["car".into()])),
                    },
                    repeat: 2,
                },
                length: 70_000,
            }),
            "050a01010101000000000000b03f0001050102010001fb900101010401020203ff0100010363617202fc\
             70110100",
        ),
        (ControlMessage::Progress(Progress { stage: SendStage::Confirm, fraction: 0.25 }), "050b040000803e"),
        (
            ControlMessage::SendReport(Box::new(SendReport {
                transmitter: transmitter_part(),
                receiver: Some(receiver_part()),
                clock: Some(ClockOffset { offset_us: -300, uncertainty_us: 85, round_trip_us: 160 }),
                notes: vec!["ae: only the receiver has it; falling back to classical".into()],
            })),
            "050cfb02010700010203040506070800fb8002fbe001fc70110100fb2823fb00e1fb3408fbb004fb3f02\
             fb5007fb740e0d00000000008034400a31362d51414d20312f32066e6f726d616c040103637075000040\
             40000080400104020301fb020107010000003f00006c410000c8c203020c01036370750000803f000000\
             40fd00401e18240a0600fd01401e18240a0600fd02401e18240a0600fd03401e18240a060001fb570255\
             a0013761653a206f6e6c7920746865207265636569766572206861732069743b2066616c6c696e672062\
             61636b20746f20636c6173736963616c",
        ),
        (ControlMessage::Failed(Failed::new(FailureCode::Delivery, "lost")), "050d02046c6f7374"),
        (ControlMessage::Watch(Watch { content: true }), "050e01"),
        (
            ControlMessage::Arrived(Arrived {
                message_id: 258,
                content: ContentKind::Text { bytes: 5 },
                part: receiver_part(),
                intermediate: true,
                length: 5,
            }),
            "050ffb02010105fb020107010000003f00006c410000c8c203020c01036370750000803f00000040fd00\
             401e18240a0600fd01401e18240a0600fd02401e18240a0600fd03401e18240a06000105",
        ),
        (
            ControlMessage::Event(Event::new(1_700_000_000_000_000, EventLevel::Warning, "frame lost")),
            "0510fd00401e18240a0600010a6672616d65206c6f7374",
        ),
        (ControlMessage::Status(Status { hearing: true, linked: false }), "05110100"),
        (ControlMessage::ClockProbe { sent_unix_us: 1_700_000_000_000_000 }, "0512fd00401e18240a0600"),
        (
            ControlMessage::ClockReply(ClockReply {
                probe_sent_unix_us: 1,
                probe_received_unix_us: 300,
                reply_sent_unix_us: 70_000,
            }),
            "051301fb2c01fc70110100",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_are_those_committed() {
    let wrong: Vec<String> = golden()
        .iter()
        .map(|(message, expected)| (message.name(), hex(&encode(message).unwrap()), *expected))
        .filter(|(_, actual, expected)| actual != expected)
        .map(|(name, actual, _)| format!("{name} {actual}"))
        .collect();
    assert!(wrong.is_empty(), "the layout has changed:\n{}", wrong.join("\n"));
}

#[test]
fn committed_bytes_are_read_back() {
    for (message, expected) in golden() {
        let bytes: Vec<u8> = (0..expected.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&expected[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(decode(&bytes).unwrap(), message);
    }
}

#[test]
fn every_variant_is_pinned() {
    let variants: Vec<u8> = golden().iter().map(|(message, _)| encode(message).unwrap()[1]).collect();
    assert_eq!(variants, (0..=19).collect::<Vec<u8>>());
    let beyond = [VERSION, 20, 0, 0, 0];
    assert!(matches!(decode(&beyond), Err(WireError::Malformed(_))), "a new variant needs a golden message");
}

#[test]
fn other_versions_empty_and_long_input_are_told_apart() {
    assert_eq!(decode(&[]), Err(WireError::Empty));
    assert_eq!(decode(&[VERSION + 1, 0]), Err(WireError::Version { theirs: VERSION + 1 }));
    assert!(matches!(decode(&vec![0; MAX_MESSAGE_BYTES + 1]), Err(WireError::TooLong(_))));
    let mut bytes = encode(&ControlMessage::Watch(Watch::default())).unwrap();
    bytes.push(0);
    assert_eq!(decode(&bytes), Err(WireError::Trailing(1)));
}

#[test]
fn values_out_of_range_neither_go_nor_come() {
    let submit = |options, length| ControlMessage::Submit(Submit { kind: SubmitKind::Text, options, length });
    let options = SendOptions::default();
    let unbounded = Intent { keep: Some(Keep::Classes(Vec::new())), ..Intent::default() };
    for wrong in [
        submit(SendOptions { cbr: Some(f64::NAN), ..options.clone() }, 1),
        submit(SendOptions { design_snr_db: Some(1e9), ..options.clone() }, 1),
        submit(SendOptions { repeat: 0, ..options.clone() }, 1),
        submit(SendOptions { budget_ms: Some(0), ..options.clone() }, 1),
        submit(SendOptions { intent: unbounded, ..options.clone() }, 1),
        ControlMessage::Receipt(MessageReceipt {
            message_id: 0,
            session: 0,
            missing: Vec::new(),
            uncorrected: Vec::new(),
            frames: 0,
            snr_db: 0.0,
            complete: true,
            quality: vec![FeatureQuality::Digital { intact: true }; 65],
        }),
        submit(options, MAX_SUBMIT_BYTES + 1),
        ControlMessage::ChannelState(ChannelState::new(0, &[], f32::NAN, 0.0)),
        ControlMessage::ChannelState(ChannelState::new(0, &[0.0; MAX_RESOURCE_BLOCKS + 1], 0.0, 0.0)),
        ControlMessage::Hello(Hello { name: "x".repeat(65), ..Hello::new(Role::Receiver, "") }),
        ControlMessage::Arrived(Arrived {
            message_id: 0,
            content: ContentKind::Picture { width: 100_000, height: 100_000 },
            part: receiver_part(),
            intermediate: false,
            length: 0,
        }),
        ControlMessage::Arrived(Arrived {
            message_id: 0,
            content: ContentKind::Picture { width: 2, height: 2 },
            part: receiver_part(),
            intermediate: false,
            length: 13,
        }),
    ] {
        assert!(matches!(encode(&wrong), Err(WireError::Range { .. })), "{wrong:?}");
        let mut bytes = vec![VERSION];
        bincode::serde::encode_into_std_write(&wrong, &mut bytes, layout()).unwrap();
        assert!(matches!(decode(&bytes), Err(WireError::Range { .. })), "{wrong:?}");
    }
}

#[test]
fn long_notes_are_cut_at_a_character() {
    let failed = Failed::new(FailureCode::Internal, "é".repeat(MAX_NOTE_BYTES));
    assert_eq!(failed.message.len(), MAX_NOTE_BYTES);
    assert!(encode(&ControlMessage::Failed(Failed::new(FailureCode::Internal, "日".repeat(999)))).is_ok());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        // What decodes must encode again: the checks of both directions agree.
        if let Ok(message) = decode(&bytes) {
            prop_assert!(encode(&message).is_ok());
        }
    }

    #[test]
    fn arbitrary_bytes_behind_a_valid_beginning_never_panic(
        variant in 0u8..20, bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut whole = vec![VERSION, variant];
        whole.extend(bytes);
        if let Ok(message) = decode(&whole) {
            prop_assert!(encode(&message).is_ok());
        }
    }

    #[test]
    fn cut_and_flipped_messages_never_panic(
        which in 0usize..20, keep in 0usize..400, flips in prop::collection::vec((0usize..400, 0u8..8), 0..4),
    ) {
        let mut bytes = encode(&golden()[which].0).unwrap();
        bytes.truncate(keep);
        for (at, bit) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        if let Ok(message) = decode(&bytes) {
            prop_assert!(encode(&message).is_ok());
        }
    }
}
