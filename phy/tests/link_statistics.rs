//! How many frames the whole link loses: small versions of what `semcast phy-curve` measures, and any frame at
//! all through a good channel.

use bytes::Bytes;
use num_complex::Complex32;
use proptest::prelude::*;
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    detection_trial::{DetectionTrial, RecordedNoise, false_alarms},
    framing::{Frame, ReceivedSegment, Segment},
    link_trial::{LinkOptions, LinkTrial, Tally},
    mode::Mode,
    modulation::mcs::Mcs,
    numerology::Numerology,
    receive::Demodulator,
    sync::preamble::qpsk_sequence,
    transmit::Modulator,
};

fn tally(options: &LinkOptions, trials: u64) -> Tally {
    let mut trial = LinkTrial::new(options.clone()).expect("a link that exists");
    let mut sum = Tally::default();
    for seed in 0..trials {
        sum += trial.run(seed).expect("offsets in range");
    }
    sum
}

fn at(snr_db: f64) -> LinkOptions {
    let channel = ChannelConfig { snr_db: Some(snr_db), ..ChannelConfig::default() };
    LinkOptions { channel, ..LinkOptions::default() }
}

fn loses_nothing(name: &str, options: &LinkOptions, trials: u64) {
    let tally = tally(options, trials);
    assert_eq!((tally.lost(), tally.wrong), (0, 0), "{name}: {tally:?}");
}

#[test]
fn no_frame_is_lost_at_20_db_without_gaps() {
    let small = Numerology { fft_size: 64, cyclic_prefix: 16, resource_blocks: 4, sample_rate_hz: 20e6 };
    for numerology in [Numerology::default(), small] {
        let options = LinkOptions { numerology, frames: 20, ..at(20.0) };
        loses_nothing("back to back", &options, 3);
    }
}

#[test]
fn no_frame_is_lost_at_20_db_over_fading_paths() {
    for profile in ["tdl-a:100", "tdl-c:300"] {
        let mut options = LinkOptions { most_cfo_hz: 48e3, ..at(20.0) };
        options.channel.profile = profile.parse().expect("a profile");
        options.channel.doppler_hz = 70.0;
        loses_nothing(profile, &options, 40);
    }
}

#[test]
fn no_frame_is_lost_at_20_db_with_offsets_or_a_dc_spike() {
    let mut offsets = at(20.0);
    offsets.channel.cfo_hz = 234.567;
    offsets.channel.sampling_offset_ppm = 147.0;
    loses_nothing("offsets", &offsets, 40);
    loses_nothing("DC spike", &LinkOptions { dc_spike_db: Some(20.0), ..at(20.0) }, 40);
}

#[test]
fn a_robust_frame_arrives_from_below_the_noise() {
    let numerology = Numerology::default();
    let snr_db = -13.0 - 10.0 * numerology.occupied_fraction().log10();
    let options = LinkOptions {
        mode: Mode::Robust,
        mcs: Mcs::LOWEST,
        payload_bytes: 100,
        most_cfo_hz: 48e3,
        ..at(snr_db)
    };
    loses_nothing("robust", &options, 30);
}

/// Finding and estimating cost little: at an SNR at which the code alone loses about one frame in a thousand,
/// the link loses few.
#[test]
fn half_rate_qpsk_opens_near_the_threshold_of_its_code() {
    let options = LinkOptions { most_cfo_hz: 48e3, ..at(0.0) };
    let snr_db = f64::from(options.mcs.threshold_db()) + 0.8;
    assert!(snr_db < 3.0, "{} opens at {snr_db} dB", options.mcs);
    let options = LinkOptions { most_cfo_hz: 48e3, ..at(snr_db) };
    let tally = tally(&options, 100);
    assert!(tally.lost() <= 2 && tally.wrong == 0, "{tally:?}");
    let mut trial = LinkTrial::new(options).expect("a link that exists");
    let lost = (0..100).filter(|&seed| !trial.decodes_with_known_channel(seed).expect("a channel")).count();
    assert!(lost <= 2, "{lost} of 100 with the channel known");
}

/// Over a fading channel too, frame by frame over the same realisations.
#[test]
fn an_estimated_channel_is_nearly_as_good_as_a_known_one() {
    let mut options = LinkOptions { most_cfo_hz: 48e3, ..at(8.0) };
    options.channel.profile = "tdl-a:100".parse().expect("a profile");
    let mut known = LinkTrial::new(options.clone()).expect("a link that exists");
    let arrived =
        (0..100).filter(|&seed| known.decodes_with_known_channel(seed).expect("a channel")).count() as u64;
    // As good as with 1.5 dB less and the channel known, with room for chance.
    options.channel.snr_db = Some(9.5);
    let tally = tally(&options, 100);
    assert!((60..100).contains(&arrived), "{arrived} of 100");
    assert!(tally.intact + 1 >= arrived, "{tally:?}, {arrived} with the channel known");
}

#[test]
fn trials_follow_from_their_seeds_alone() {
    let options = LinkOptions { frames: 2, gap_samples: 300, most_cfo_hz: 20e3, ..at(1.5) };
    let mut one = LinkTrial::new(options.clone()).expect("a link that exists");
    let tallies: Vec<_> = (0..6).map(|seed| one.run(seed).expect("offsets in range")).collect();
    for seed in (0..6).rev() {
        let again = LinkTrial::new(options.clone()).expect("a link that exists").run(seed);
        assert_eq!(again.expect("offsets in range"), tallies[seed as usize], "seed {seed}");
    }
}

#[test]
fn trials_that_cannot_be_are_refused() {
    let refused = |options: LinkOptions| LinkTrial::new(options).err().expect("an error").to_string();
    let numerology = Numerology { fft_size: 100, ..Numerology::default() };
    assert!(refused(LinkOptions { numerology, ..at(10.0) }).contains("64 to 4096"));
    assert!(refused(at(1e9)).contains("snr_db"));
    assert!(refused(LinkOptions { payload_bytes: 0, ..at(10.0) }).contains("1 to 65535"));
}

#[test]
fn the_detector_hears_minus_13_db_and_noise_does_not_deceive_it() {
    let numerology = Numerology { sample_rate_hz: 20e6, ..Numerology::default() };
    let mut trial = DetectionTrial::new(numerology, Mode::Robust, -13.0, 48e3);
    let found = (0..100).filter(|&seed| trial.finds(seed).expect("offsets in range")).count();
    assert!(found >= 99, "{found} of 100");
    assert_eq!(false_alarms(&numerology, &RecordedNoise::new(1), 1, 20_000_000), 0);
}

/// A segment with random content, of a kind and size.
#[derive(Clone, Debug)]
enum Part {
    Coded { mcs: u8, redundancy_version: u8, bytes: Vec<u8> },
    Analog { seed: u32, symbols: usize },
}

impl Part {
    fn segment(self) -> Segment {
        match self {
            Self::Coded { mcs, redundancy_version, bytes } => {
                Segment::Coded { mcs, redundancy_version, bytes: bytes.into() }
            }
            Self::Analog { seed, symbols } => Segment::Analog { symbols: qpsk_sequence(seed, symbols) },
        }
    }
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    // Rungs that hold well at 30 dB, whatever the length, and are not so slow that little fits into a frame.
    let fast: Vec<u8> =
        Mcs::all().filter(|mcs| (-2.0..20.0).contains(&mcs.threshold_db())).map(Mcs::index).collect();
    let coded = (proptest::sample::select(fast), proptest::collection::vec(any::<u8>(), 1..400))
        .prop_map(|(mcs, bytes)| Part::Coded { mcs, redundancy_version: 0, bytes });
    let analog = (any::<u16>(), 1usize..800)
        .prop_map(|(seed, symbols)| Part::Analog { seed: u32::from(seed) + 1, symbols });
    proptest::collection::vec(prop_oneof![coded, analog], 0..4)
}

fn numerology() -> impl Strategy<Value = Numerology> {
    let grids =
        vec![(64, 16, 4), (128, 12, 8), (256, 20, 12), (512, 36, 25), (1024, 72, 50), (4096, 288, 200)];
    proptest::sample::select(grids).prop_map(|(fft_size, cyclic_prefix, resource_blocks)| Numerology {
        fft_size,
        cyclic_prefix,
        resource_blocks,
        ..Numerology::default()
    })
}

/// Sends a frame through noise at 30 dB and a carrier offset.
fn exchange(
    numerology: Numerology,
    frame: &Frame,
    cfo_hz: f64,
    seed: u64,
) -> Vec<semcast_phy::receive::ReceivedFrame> {
    let mut burst = Vec::new();
    Modulator::new(numerology).modulate(frame, &mut burst).expect("a frame that fits");
    let config = ChannelConfig {
        snr_db: Some(30.0),
        occupied_fraction: numerology.occupied_fraction(),
        cfo_hz,
        seed,
        ..ChannelConfig::default()
    };
    let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a channel that exists");
    let mut samples = Vec::new();
    channel.flush(1000 + (seed % 3000) as usize, &mut samples);
    channel.process(&burst, &mut samples);
    channel.flush(16 * numerology.fft_size + 20_000, &mut samples);
    let mut received = Vec::new();
    Demodulator::new(numerology).push(&samples, &mut |frame| received.push(frame));
    received
}

fn check(sent: &Segment, received: &ReceivedSegment) {
    match (sent, received) {
        (Segment::Coded { bytes, .. }, ReceivedSegment::Coded { decoded, .. }) => {
            assert_eq!(decoded.as_ref(), Ok(bytes));
        }
        (Segment::Analog { symbols }, ReceivedSegment::Analog { symbols: arrived, .. }) => {
            assert_eq!(symbols.len(), arrived.len());
            let error: f32 =
                symbols.iter().zip(arrived).map(|(a, b): (&Complex32, _)| (a - b).norm_sqr()).sum();
            assert!(error / (symbols.len() as f32) < 0.03, "mean squared error of {error}");
        }
        _ => panic!("{sent:?} arrived as {received:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_arrives(
        parts in parts(),
        robust: bool,
        numerology in numerology(),
        number: u16,
        transmitter: u16,
        control in proptest::collection::vec(any::<u8>(), 0..60),
        cfo_hz in -20e3..20e3,
        seed: u32,
    ) {
        let mode = if robust { Mode::Robust } else { Mode::Normal };
        let frame = Frame {
            mode,
            number,
            transmitter,
            control: Bytes::from(control),
            segments: parts.into_iter().map(Part::segment).collect(),
            ..Frame::default()
        };
        // Three slow segments may be longer than the longest frame of a narrow band.
        prop_assume!(Modulator::new(numerology).modulate(&frame, &mut Vec::new()).is_ok());
        let received = exchange(numerology, &frame, cfo_hz, seed.into());
        prop_assert_eq!(received.len(), 1);
        prop_assert_eq!(received[0].mode, mode);
        prop_assert_eq!((received[0].header.number, received[0].header.transmitter), (number, transmitter));
        prop_assert_eq!(&received[0].control, &frame.control);
        prop_assert_eq!(received[0].segments.len(), frame.segments.len());
        for (sent, received) in frame.segments.iter().zip(&received[0].segments) {
            check(sent, received);
        }
    }
}
