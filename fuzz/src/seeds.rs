//! Inputs to start from, made by the program's own encoders, so that they are of today's layout.

use std::{io::Cursor, sync::OnceLock};

use bytes::Bytes;
use image::ImageFormat;
use num_complex::Complex32;
use semcast_common::{
    control::encode_frame,
    message::{ModelDigest, SystemId},
    segmentation::{
        MessageHeader, PartRange,
        header::{FeatureShape, Part},
    },
    wire::{
        self, ChannelState, ControlMessage, Failed, FailureCode, FeatureQuality, Hello, MessageAnnounced,
        MessageReceipt, MessageSent, NumerologyId, Progress, QuantisedSnr, Role, SendOptions, SendStage,
        Status, Submit, SubmitKind, Watch,
    },
};
use semcast_phy::{
    allocation::{Record, Strategy},
    framing::{Frame, Segment, SegmentShape, control, header::FrameHeader},
    mode::{ControlRate, Mode},
    numerology::Numerology,
    radio::{
        datagram::{self, Header, Kind, SampleFormat, flags},
        sigmf::{Annotation, Capture, Datatype, Metadata},
    },
    transmit::Modulator,
};

/// Metadata of recordings.
pub fn sigmf_metadata() -> Vec<Vec<u8>> {
    let capture = |sample_start, global_index| Capture {
        sample_start,
        global_index,
        frequency_hz: Some(2.45e9),
        datetime: Some("2026-01-02T03:04:05.678Z".into()),
    };
    let own = Metadata {
        datatype: Datatype::Ci16,
        sample_rate_hz: 7.68e6,
        description: Some("own".into()),
        sha512: Some("00ff".into()),
        captures: vec![capture(0, Some(0)), capture(1000, Some(1960))],
        annotations: vec![Annotation { sample_start: 5, sample_count: 7, label: "burst".into() }],
    };
    let foreign = r#"{"global": {"core:datatype": "cu8", "core:sample_rate": 2.4e6, "core:version": "1.0.0", "x:y": [1]},
        "captures": [{"core:sample_start": 0, "core:header_bytes": 0}], "annotations": [{"core:comment": "?"}]}"#;
    vec![own.to_json().into_bytes(), foreign.as_bytes().to_vec()]
}

/// Changes of an air's settings.
pub fn air_settings() -> Vec<Vec<u8>> {
    [
        r#"{"channel": {"snr_db": 3.5, "profile": "tdl-c:300", "cfo_hz": -1e3}, "faults": {"loss": 0.1}}"#,
        r#"{"channel": {"interferers": "ofdm/-10/offset=1e6/duty=0.3,tone/-20", "front_end": {"adc_bits": 8}}}"#,
        r#"{"channel": {"transmitter": {"amplifier": "rapp:1.5", "dac_bits": null}, "profile": "taps:0/0,500/-3/rayleigh"}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Frame headers.
pub fn frame_header() -> Vec<Vec<u8>> {
    [(1, 0), (300, 140), (2047, 280)]
        .map(|(control_bytes, payload_symbols)| {
            let control_rate = ControlRate::from_bits(control_bytes as u8);
            FrameHeader { control_bytes, payload_symbols, control_rate, number: 7, transmitter: 0xABCD }
                .to_bytes()
                .to_vec()
        })
        .to_vec()
}

/// Control blocks.
pub fn control_block() -> Vec<Vec<u8>> {
    let coded = SegmentShape::Coded { mcs: 9, redundancy_version: 2, bytes: 1000 };
    let analog = SegmentShape::Analog { symbols: 70_000 };
    let allocation = allocation();
    [(&[][..], None), (&[coded], None), (&[analog, coded], Some(&allocation))]
        .map(|(shapes, allocation)| {
            control::write(shapes, allocation, b"for the layer above").expect("in range").to_vec()
        })
        .to_vec()
}

/// Two segments, the second one more important.
fn allocation() -> Record {
    let levels: Vec<u8> = (0..numerology().resource_blocks as u8).map(|block| 3 * block % 16).collect();
    Record::new(Strategy::Importance, levels.len(), &levels, &[1, 0], &[2, 3], &[4, 0]).expect("in range")
}

/// Message headers.
pub fn message_header() -> Vec<Vec<u8>> {
    let digital = MessageHeader {
        message: 3,
        system: SystemId::Classical,
        model: ModelDigest::default(),
        side: Bytes::from_static(&[0]),
        features: vec![FeatureShape::Digital { bytes: 500 }],
        parts: vec![Part { feature: 0, start: 0 }, Part { feature: 0, start: 250 }],
    };
    let analog = MessageHeader {
        message: 4,
        system: SystemId::Ae,
        model: ModelDigest([1, 2, 3, 4, 5, 6, 7, 8]),
        side: Bytes::from_static(&[1, 0, 3, 0, 2, 48, 100, 110, 120, 0, 4]),
        features: vec![FeatureShape::Analog { symbols: 4000 }, FeatureShape::Digital { bytes: 20 }],
        parts: vec![Part { feature: 1, start: 0 }, Part { feature: 0, start: 1111 }],
    };
    [digital, analog].map(|header| header.to_bytes().to_vec()).to_vec()
}

fn messages() -> Vec<(Role, Role, ControlMessage, usize)> {
    use Role::{Receiver, SendClient, Transmitter, WatchClient};
    let numerology = NumerologyId {
        sample_rate_hz: 7_680_000,
        fft_size: 512,
        cyclic_prefix: 36,
        resource_blocks: 25,
        revision: 1,
    };
    let hello = Hello::new(Receiver, "a receiver")
        .with_systems([(SystemId::Classical, ModelDigest::default()), (SystemId::Ae, ModelDigest([9; 8]))])
        .with_numerology(numerology);
    let missing = (0..3).map(|n| PartRange { feature: n, start: 100, end: 70_000 }).collect();
    let submit = Submit { kind: SubmitKind::Text, options: SendOptions::default(), length: 12 };
    vec![
        (Receiver, Transmitter, ControlMessage::Hello(hello), 0),
        (
            Receiver,
            Transmitter,
            ControlMessage::ChannelState(ChannelState::new(5, &[10.25; 25], 11.0, -4000.0)),
            0,
        ),
        (
            Receiver,
            Transmitter,
            ControlMessage::Receipt(MessageReceipt {
                message_id: 1,
                session: 2,
                missing,
                uncorrected: vec![PartRange { feature: 1, start: 100, end: 9000 }],
                frames: 4,
                snr_db: 9.5,
                complete: false,
                quality: vec![
                    FeatureQuality::Digital { intact: false },
                    FeatureQuality::Analog { snr: QuantisedSnr(9) },
                ],
            }),
            0,
        ),
        (
            Transmitter,
            Receiver,
            ControlMessage::Announced(MessageAnnounced {
                message_id: 1,
                session: 2,
                system: SystemId::Ae,
                refined: true,
            }),
            0,
        ),
        (
            Transmitter,
            Receiver,
            ControlMessage::Sent(MessageSent {
                message_id: 1,
                session: 2,
                last_frame: 3,
                frames: 4,
                last: true,
            }),
            0,
        ),
        (SendClient, Transmitter, ControlMessage::Submit(submit), 12),
        (
            Transmitter,
            SendClient,
            ControlMessage::Progress(Progress { stage: SendStage::Encode, fraction: 0.5 }),
            0,
        ),
        (
            Transmitter,
            SendClient,
            ControlMessage::Failed(Failed::new(FailureCode::Content, "a text of 0 bytes cannot be sent")),
            0,
        ),
        (WatchClient, Receiver, ControlMessage::Watch(Watch { content: true }), 0),
        (Receiver, WatchClient, ControlMessage::Status(Status { hearing: true, linked: false }), 0),
    ]
}

/// Control messages.
pub fn control_message() -> Vec<Vec<u8>> {
    messages().iter().map(|(_, _, message, _)| wire::encode(message).expect("in range")).collect()
}

/// Streams of the control link, with the byte that says who talks to whom in front.
pub fn control_stream() -> Vec<Vec<u8>> {
    let number = |role| match role {
        Role::Transmitter => 0_u8,
        Role::Receiver => 1,
        Role::SendClient => 2,
        Role::WatchClient => 3,
    };
    messages()
        .into_iter()
        .map(|(from, to, message, body)| {
            let greeting = matches!(message, ControlMessage::Hello(_));
            let choice = u8::from(!greeting) | number(from) << 1 | number(to) << 3 | 3 << 5;
            let frame = encode_frame(&message).expect("in range");
            let twice = [frame.clone(), vec![b'x'; body], frame, vec![b'y'; body]].concat();
            [vec![choice], twice].concat()
        })
        .collect()
}

/// Datagrams of the air.
pub fn air_datagram() -> Vec<Vec<u8>> {
    let header = |kind, format| Header {
        kind,
        flags: flags::START_OF_BURST,
        format,
        stream: 1,
        session: 2,
        peer_session: 3,
        count: 0,
        first_sample: 4,
        limit: 5,
        sample_rate_hz: 7.68e6,
    };
    let samples = [Complex32::new(0.5, -0.25); 5];
    let with = |format| (header(Kind::Samples, format), &samples[..]);
    let without = |kind| (header(kind, SampleFormat::Cf32), &[][..]);
    [
        with(SampleFormat::Cf32),
        with(SampleFormat::Ci16),
        with(SampleFormat::Ci8),
        without(Kind::Hello),
        without(Kind::Credit),
        without(Kind::Status),
    ]
    .map(|(header, samples)| {
        let mut bytes = Vec::new();
        datagram::write(&header, samples, &mut bytes);
        bytes
    })
    .to_vec()
}

/// The grid of [`sample_stream`]: small, so that a run is short.
pub fn numerology() -> Numerology {
    Numerology { fft_size: 128, cyclic_prefix: 16, resource_blocks: 6, sample_rate_hz: 1.92e6 }
}

/// A good frame of each mode with silence around it.
pub fn frame_samples(mode: Mode) -> &'static [Complex32] {
    static SAMPLES: OnceLock<[Vec<Complex32>; 2]> = OnceLock::new();
    let samples = SAMPLES.get_or_init(|| {
        Mode::ALL.map(|mode| {
            let frame = Frame {
                mode,
                control_rate: ControlRate::default(),
                number: 1,
                transmitter: 2,
                control: Bytes::from_static(b"a message header would stand here"),
                allocation: Some(allocation()),
                segments: vec![
                    Segment::Coded { mcs: 15, redundancy_version: 0, bytes: Bytes::from_static(&[7; 60]) },
                    Segment::Analog { symbols: vec![Complex32::new(0.6, 0.8); 90] },
                ],
            };
            let mut samples = vec![Complex32::default(); 700];
            Modulator::new(numerology()).modulate(&frame, &mut samples).expect("the frame fits");
            samples.resize(samples.len() + 20_000, Complex32::default());
            samples
        })
    });
    &samples[mode as usize]
}

/// Edits of frames' samples, and raw samples.
pub fn sample_stream() -> Vec<Vec<u8>> {
    let edit = |place: u16, re: f32, im: f32| {
        [&place.to_le_bytes()[..], &re.to_le_bytes(), &im.to_le_bytes()].concat()
    };
    vec![
        vec![255, 0],
        vec![255, 1],
        [vec![3, 0], edit(800, f32::NAN, 0.0)].concat(),
        [vec![20, 1], edit(1100, f32::INFINITY, -1.0), edit(1500, f32::MAX, f32::MIN)].concat(),
        [vec![9, 0], edit(1300, 1e30, 1e30), edit(2000, f32::MIN_POSITIVE, 1e-40)].concat(),
        [vec![200, 2], (0..500).map(|n| (n * n % 251) as u8).collect()].concat(),
    ]
}

/// Picture files of every format.
pub fn picture_file() -> Vec<Vec<u8>> {
    let rgb = (0..3 * 9 * 5).map(|value| (value * 7) as u8).collect();
    let picture = image::RgbImage::from_raw(9, 5, rgb).expect("the buffer fits");
    [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp]
        .map(|format| {
            let mut file = Cursor::new(Vec::new());
            picture.write_to(&mut file, format).expect("every one of these can be written");
            file.into_inner()
        })
        .to_vec()
}
