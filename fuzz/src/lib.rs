//! Bodies of the fuzz targets: one for every parser of outside bytes.
//!
//! A body takes bytes that may be anything. It must not panic, and what a parser accepts must be written back as it
//! was. libFuzzer drives the bodies through `fuzz_targets/`; `tests/smoke.rs` runs them on a stable compiler, on
//! [`seeds`] and on seeded mutations of these.

#[cfg(feature = "models")]
pub mod models;
pub mod seeds;

use bytes::Bytes;
use num_complex::Complex32;
use semcast_common::{
    content::{MAX_PIXELS, file},
    control::FrameDecoder,
    segmentation::{Assembly, MessageHeader},
    wire::{self, Role},
};
use semcast_phy::{
    framing::{control, header::FrameHeader},
    mode::Mode,
    radio::{air::AirSettings, datagram, sigmf::Metadata},
    receive::Demodulator,
};

/// A target by name, for those who run all of them.
pub struct Target {
    /// Name of the function and of its file in `fuzz_targets/`.
    pub name: &'static str,
    /// The body.
    pub run: fn(&[u8]),
    /// Inputs to start from: at least one that the parser accepts.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Mutations that the smoke test tries: a few seconds' worth at most.
    pub mutations: usize,
}

/// All targets that need no feature.
pub const TARGETS: [Target; 10] = [
    Target { name: "frame_header", run: frame_header, seeds: seeds::frame_header, mutations: 20_000 },
    Target { name: "control_block", run: control_block, seeds: seeds::control_block, mutations: 20_000 },
    Target { name: "message_header", run: message_header, seeds: seeds::message_header, mutations: 20_000 },
    Target {
        name: "control_message",
        run: control_message,
        seeds: seeds::control_message,
        mutations: 20_000,
    },
    Target { name: "control_stream", run: control_stream, seeds: seeds::control_stream, mutations: 20_000 },
    Target { name: "air_datagram", run: air_datagram, seeds: seeds::air_datagram, mutations: 20_000 },
    Target { name: "air_settings", run: air_settings, seeds: seeds::air_settings, mutations: 20_000 },
    Target { name: "sigmf_metadata", run: sigmf_metadata, seeds: seeds::sigmf_metadata, mutations: 20_000 },
    Target { name: "sample_stream", run: sample_stream, seeds: seeds::sample_stream, mutations: 400 },
    Target { name: "picture_file", run: picture_file, seeds: seeds::picture_file, mutations: 4000 },
];

/// Metadata of a recording, from any program.
pub fn sigmf_metadata(bytes: &[u8]) {
    if let Ok(metadata) = Metadata::parse(bytes) {
        let again = Metadata::parse(metadata.to_json().as_bytes()).expect("what was written");
        // Numbers that are not whole may differ in their last bit.
        assert_eq!((again.datatype, again.annotations), (metadata.datatype, metadata.annotations));
        assert_eq!(again.captures.len(), metadata.captures.len());
    }
}

/// A change of an air's settings, over HTTP.
pub fn air_settings(bytes: &[u8]) {
    let rate_hz = seeds::numerology().sample_rate_hz;
    if let Ok(settings) = AirSettings::default().merged(bytes, rate_hz) {
        assert!(settings.validate(rate_hz).is_ok());
        assert_eq!(AirSettings::default().merged(bytes, rate_hz).ok(), Some(settings));
    }
}

/// Frame header, from the air.
pub fn frame_header(bytes: &[u8]) {
    if let Ok(header) = FrameHeader::parse(bytes) {
        assert_eq!(header.to_bytes(), bytes);
    }
}

/// Control block of a frame, from the air.
pub fn control_block(bytes: &[u8]) {
    let block = Bytes::copy_from_slice(bytes);
    let resource_blocks = seeds::numerology().resource_blocks;
    if let Ok(control) = control::parse(&block, resource_blocks) {
        // The block's length is limited by the header's field, not here.
        if let Ok(again) = control::write(&control.segments, control.allocation.as_ref(), &control.above) {
            assert_eq!(again, block);
        }
    }
}

/// Message header, from the air, and the assembly that is set up from it.
pub fn message_header(bytes: &[u8]) {
    // More than this is tested by the header's own limits; here it would only be slow.
    const MOST: u64 = 1 << 16;
    let Ok(header) = MessageHeader::parse(&Bytes::copy_from_slice(bytes)) else { return };
    assert_eq!(header.to_bytes(), bytes);
    if header.features.iter().map(|feature| u64::from(feature.length())).sum::<u64>() > MOST {
        return;
    }
    let mut assembly = Assembly::new(header.clone());
    for (index, part) in header.parts.iter().enumerate() {
        let length = 1 + 37 * index;
        assembly.add_digital(part.feature, part.start, &vec![1; length]);
        let symbols = vec![Complex32::new(1.0, f32::NAN); length];
        assembly.add_analog(part.feature, part.start, &symbols, &vec![0.5; length]);
    }
    for missing in assembly.missing(usize::MAX) {
        assert!(missing.start < missing.end);
    }
    assert_eq!(assembly.to_message().features.len(), header.features.len());
}

/// One message of the control link.
pub fn control_message(bytes: &[u8]) {
    if let Ok(message) = wire::decode(bytes) {
        // Numbers may have been written longer than needed, so bytes are compared once they are ours.
        let ours = wire::encode(&message).expect("what can be decoded can be encoded");
        let again = wire::decode(&ours).expect("what was encoded can be decoded");
        assert_eq!(wire::encode(&again).expect("as before"), ours);
    }
}

/// Stream of the control link: the first byte chooses who talks to whom and how the stream is cut.
pub fn control_stream(bytes: &[u8]) {
    const ROLES: [Role; 4] = [Role::Transmitter, Role::Receiver, Role::SendClient, Role::WatchClient];
    let Some((&choice, stream)) = bytes.split_first() else { return };
    let mut decoder = FrameDecoder::new();
    if choice & 1 == 1 {
        decoder.greeted(ROLES[usize::from(choice >> 1 & 3)], ROLES[usize::from(choice >> 3 & 3)]);
    }
    for piece in stream.chunks(1 + usize::from(choice >> 5) * 11) {
        decoder.push(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(received)) => assert_eq!(received.body.len() as u64, received.message.body_bytes()),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// Datagram between a radio and the air.
pub fn air_datagram(bytes: &[u8]) {
    let Ok(parsed) = datagram::parse(bytes) else { return };
    let mut samples = Vec::new();
    parsed.read_samples(&mut samples);
    assert_eq!(samples.len(), usize::from(parsed.header.count));
    assert!(samples.iter().all(|sample| sample.re.is_finite() && sample.im.is_finite()));
    let mut again = Vec::new();
    datagram::write(&parsed.header, &samples, &mut again);
    let reparsed = datagram::parse(&again).expect("what was written can be parsed");
    assert_eq!(reparsed.header, parsed.header);
}

/// Samples from the air. The first byte tells into what pieces the stream is cut, the second what it is: bit 0
/// a robust frame, bit 1 no frame but the rest of the bytes as ci8 samples, again and again. What follows edits
/// the frame, ten bytes each: a place (`u16`, little endian) and the sample's two floats.
pub fn sample_stream(bytes: &[u8]) {
    let [piece, kind, rest @ ..] = bytes else { return };
    let mode = Mode::ALL[usize::from(kind & 1)];
    let mut samples = seeds::frame_samples(mode).to_vec();
    if kind & 2 != 0 {
        let raw = rest.as_chunks::<2>().0.iter().cycle();
        for (sample, raw) in samples.iter_mut().zip(raw) {
            let [re, im] = raw.map(|value| f32::from(value as i8) / 127.0);
            *sample = Complex32::new(re, im);
        }
    } else {
        for edit in rest.as_chunks::<10>().0 {
            let place = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % samples.len();
            let re = f32::from_le_bytes([edit[2], edit[3], edit[4], edit[5]]);
            let im = f32::from_le_bytes([edit[6], edit[7], edit[8], edit[9]]);
            samples[place] = Complex32::new(re, im);
        }
    }
    let mut demodulator = Demodulator::new(seeds::numerology());
    for piece in samples.chunks(1 + 97 * usize::from(*piece)) {
        demodulator.push(piece, &mut |frame| {
            assert!(frame.channel.snr_db.is_finite());
            assert!(frame.segments.len() <= semcast_phy::framing::MAX_SEGMENTS);
        });
    }
}

/// A picture file that a user or a client hands over.
pub fn picture_file(bytes: &[u8]) {
    if let Ok(picture) = file::decode_picture(bytes) {
        assert!(u64::from(picture.width()) * u64::from(picture.height()) <= MAX_PIXELS);
    }
}
