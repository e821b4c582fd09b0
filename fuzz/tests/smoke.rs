//! Every target on its seeds and on seeded mutations of them: what CI can run without libFuzzer.

use std::panic::catch_unwind;

use semcast_fuzz::{TARGETS, Target};

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// One to four changes of the kinds that parsers stumble over.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.extend((0..1 + random.below(16)).map(|n| n as u8)),
            2 => bytes.splice(at.., other.iter().skip(random.below(other.len())).copied()).for_each(drop),
            kind => {
                let Some(byte) = bytes.get_mut(at) else { continue };
                *byte = match kind {
                    3 => 0,
                    4 => 0xFF,
                    5 => byte.wrapping_add(1),
                    6 => random.next() as u8,
                    _ => *byte ^ 1 << random.below(8),
                };
            }
        }
    }
}

fn survives(target: &Target, mutations: usize, seed: u64) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seed", target.name);
    let mut random = Random(seed);
    let mutations = (0..mutations).map(|_| {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let other = &seeds[random.below(seeds.len())];
        mutate(&mut bytes, other, &mut random);
        bytes
    });
    for bytes in std::iter::once(Vec::new()).chain(seeds.iter().cloned()).chain(mutations) {
        let survived = catch_unwind(|| (target.run)(&bytes)).is_ok();
        assert!(survived, "{} does not survive {bytes:02x?}", target.name);
    }
}

#[test]
fn every_target_survives_its_seeds_and_their_mutations() {
    for target in &TARGETS {
        survives(target, target.mutations, 1);
    }
}

#[test]
#[ignore = "five minutes"]
fn the_receiver_survives_many_more_streams_of_samples() {
    for target in TARGETS.iter().filter(|target| target.name == "sample_stream") {
        survives(target, 500 * target.mutations, 2);
    }
}

#[test]
fn seeds_are_accepted_by_their_parsers() {
    use bytes::Bytes;
    use semcast_common::{content::file, segmentation::MessageHeader, wire};
    use semcast_fuzz::seeds;
    use semcast_phy::{
        framing::{control, header::FrameHeader},
        mode::Mode,
        radio::datagram,
        receive::Demodulator,
    };

    assert!(seeds::frame_header().iter().all(|bytes| FrameHeader::parse(bytes).is_ok()));
    assert!(
        seeds::control_block().iter().all(|bytes| control::parse(&Bytes::copy_from_slice(bytes), 6).is_ok())
    );
    let header = |bytes: &Vec<u8>| MessageHeader::parse(&Bytes::copy_from_slice(bytes)).is_ok();
    assert!(seeds::message_header().iter().all(header));
    assert!(seeds::control_message().iter().all(|bytes| wire::decode(bytes).is_ok()));
    assert!(seeds::air_datagram().iter().all(|bytes| datagram::parse(bytes).is_ok()));
    assert!(seeds::picture_file().iter().all(|bytes| file::decode_picture(bytes).is_ok()));
    for mode in Mode::ALL {
        let mut frames = 0;
        Demodulator::new(seeds::numerology()).push(seeds::frame_samples(mode), &mut |_| frames += 1);
        assert_eq!(frames, 1, "the frame that is edited must be a good one, {mode:?}");
    }
}

#[test]
fn every_target_has_an_executable() {
    let manifest = include_str!("../Cargo.toml");
    for target in &TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{}.rs\"", target.name)), "{}", target.name);
    }
}
