//! Both systems over ideal and bad channels: budgets, losses of every kind, the same integers everywhere.

use num_complex::Complex32;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::test_card;
use semcast_common::intent::Preserve;
use semcast_common::message::protection_levels;

use super::*;
use crate::metrics::psnr_db;
use crate::{DeviceChoice, open_device};

fn system(kind: Kind) -> Sct {
    Sct::new(kind, &SystemOptions::default(), &open_device(DeviceChoice::Cpu).unwrap()).unwrap()
}

/// A part of the test card.
fn picture(width: u32, height: u32) -> Picture {
    let card = test_card::draw(3).unwrap();
    let rows = card.rgb().chunks_exact(3 * card.width() as usize).skip(150).take(height as usize);
    let rgb = rows.flat_map(|row| &row[..3 * width as usize]).copied().collect();
    Picture::new(width, height, rgb).unwrap()
}

fn content(width: u32, height: u32) -> Content {
    Content::Picture(picture(width, height))
}

fn normal(rng: &mut StdRng) -> f32 {
    StandardNormal.sample(rng)
}

/// What arrives over white noise of a variance, nothing lost.
fn over_noise(message: &SemanticMessage, variance: f32, seed: u64) -> ReceivedMessage {
    let mut rng = StdRng::seed_from_u64(seed);
    let features = message.features.iter().map(|feature| match &feature.payload {
        Payload::Digital(bytes) => ReceivedFeature::Digital { bytes: bytes.clone(), missing: Vec::new() },
        Payload::Analog(symbols) => {
            let mut noise = || Complex32::new(normal(&mut rng), normal(&mut rng)) * (variance / 2.0).sqrt();
            ReceivedFeature::Analog {
                symbols: symbols.iter().map(|symbol| symbol + noise()).collect(),
                noise_variance: vec![variance; symbols.len()],
            }
        }
    });
    ReceivedMessage {
        system: message.system,
        model: message.model,
        side: message.side.clone(),
        features: features.collect(),
    }
}

/// Loses a range of a feature.
fn lose(feature: &mut ReceivedFeature, from: f64, to: f64) {
    let range =
        |length: usize| (from * length as f64) as usize..((to * length as f64).ceil() as usize).min(length);
    match feature {
        ReceivedFeature::Digital { bytes, missing } => {
            let range = range(bytes.len());
            if !range.is_empty() {
                let mut left = bytes.to_vec();
                left[range.clone()].fill(0);
                (*bytes, *missing) = (left.into(), vec![range]);
            }
        }
        ReceivedFeature::Analog { symbols, noise_variance } => {
            let range = range(symbols.len());
            symbols[range.clone()].fill(Complex32::default());
            noise_variance[range].fill(f32::INFINITY);
        }
    }
}

fn quality(picture: &Picture, decoded: &Decoded) -> f64 {
    let Content::Picture(arrived) = &decoded.content else { panic!("a picture was sent") };
    psnr_db(picture, arrived).unwrap()
}

#[test]
fn messages_keep_their_budgets_and_more_budget_is_a_better_picture() {
    let (width, height) = (200, 120);
    let picture = picture(width, height);
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let mut last = 0.0;
        for share in [32, 16, 6] {
            let symbols = picture.values() / share;
            let budget =
                Budget { symbols, bytes: symbols / 4, costs_256: [420, 330, 290, 256, 500], snr_db: None };
            let message = system.encode(&content(width, height), budget, &Intent::default()).unwrap();
            let count = message.features.len();
            assert!((2..=1 + analysis::MAX_REGIONS).contains(&count));
            let cost = |(feature, level): (&Feature, usize)| match &feature.payload {
                Payload::Digital(bytes) => 4 * modular::cost_of(bytes.len(), budget.costs_256[level]),
                Payload::Analog(symbols) => symbols.len(),
            };
            let levels = protection_levels(&message.features);
            let costs: usize = message.features.iter().zip(levels).map(cost).sum();
            assert!(costs <= symbols + 4, "{costs} of {symbols}");
            assert!(costs > symbols * 7 / 10, "{costs} of {symbols}");
            let decoded = system.decode(&over_noise(&message, 0.01, 1)).unwrap();
            let psnr = quality(&picture, &decoded);
            assert!(psnr > last + 1.0, "{kind:?}: {psnr} dB after {last} dB");
            assert!(decoded.confidence > 0.95, "{}", decoded.confidence);
            last = psnr;
        }
    }
}

#[test]
fn features_fall_in_importance_and_symbols_have_unit_power() {
    let mut system = system(Kind::Integrated);
    let message = system.encode(&content(200, 120), Budget::new(4500, 1000), &Intent::default()).unwrap();
    assert!(message.features.windows(2).all(|pair| pair[0].importance >= pair[1].importance));
    for feature in &message.features[1..] {
        let Payload::Analog(symbols) = &feature.payload else { panic!("regions are symbols") };
        let power: f32 = symbols.iter().map(|symbol| symbol.norm_sqr()).sum::<f32>() / symbols.len() as f32;
        assert!((power - 1.0).abs() < 0.01, "{power}");
    }
}

#[test]
fn symbols_that_are_left_repeat_regions_by_their_importance() {
    let mut system = system(Kind::Integrated);
    let picture = picture(208, 128);
    let blocks = 13 * 8;
    let symbols = 300 * blocks;
    let mut quality_of = |symbols: usize| {
        let budget = Budget { bytes: symbols / 4, ..Budget::new(symbols, 0) };
        let message = system.encode(&content(208, 128), budget, &Intent::default()).unwrap();
        let arrived = over_noise(&message, 1.0, 1);
        let psnr = quality(&picture, &system.decode(&arrived).unwrap());
        let analog = |feature: &Feature| match &feature.payload {
            Payload::Analog(symbols) => Some((feature.importance, symbols.len())),
            Payload::Digital(_) => None,
        };
        for feature in &message.features {
            let Payload::Analog(symbols) = &feature.payload else { continue };
            let power: f32 = symbols.iter().map(Complex32::norm_sqr).sum::<f32>() / symbols.len() as f32;
            assert!((power - 1.0).abs() < 0.01, "{power}");
        }
        let Payload::Digital(map) = &message.features[0].payload else { panic!("the map is digital") };
        let of_map = budget.symbols_for(map.len(), BASE_LEVEL);
        let map = system.known(&arrived).unwrap().map.unwrap();
        let sizes =
            map.sent().map(|region| map.of_block.iter().filter(|of| usize::from(**of) == region).count());
        let regions = message.features.iter().filter_map(analog).zip(sizes).collect::<Vec<_>>();
        (psnr, regions, of_map)
    };
    let (psnr, regions, of_map) = quality_of(symbols);
    let all: usize = regions.iter().map(|((_, length), _)| length).sum();
    assert!(regions.len() > 1 && of_map + all <= symbols && all > symbols * 9 / 10, "{all} of {symbols}");
    let of_block = |at: usize| {
        let ((importance, length), size) = regions[at];
        (importance / size as f32, length as f32 / size as f32)
    };
    for at in 1..regions.len() {
        let ((first, of_first), (other, of_other)) = (of_block(0), of_block(at));
        assert!((first >= other) == (of_first >= of_other - 1.0), "{regions:?}");
    }
    let (before, ..) = quality_of(140 * blocks);
    assert!(psnr > before + 1.0, "{psnr} dB after {before} dB");
}

/// Of a region that is lost every block is made up; of one that breaks off within its first channel, those of which nothing was
/// read; of one that breaks off later, and of those that arrived, none.
#[test]
fn what_never_arrived_is_made_up_and_the_rest_stays_as_it_is() {
    let mut system = system(Kind::Modular);
    let message = system.encode(&content(320, 240), Budget::new(12_000, 3000), &Intent::default()).unwrap();
    let whole = over_noise(&message, 0.01, 1);
    for from in [0.0, 0.02, 0.6] {
        let mut received = whole.clone();
        lose(&mut received.features[1], from, 1.0);
        let mut known = system.known(&received).unwrap();
        let map = known.map.clone().unwrap();
        let region = map.sent().next().unwrap();
        let size = map.of_block.iter().filter(|of| usize::from(**of) == region).count();
        let before = known.code.values.clone();
        let bare = system.paint(&mut known).unwrap();
        assert!(bare.iter().all(|&block| usize::from(map.of_block[block]) == region));
        match from {
            0.0 => assert_eq!(bare.len(), size),
            0.02 => assert!((1..size).contains(&bare.len()), "{} of {size}", bare.len()),
            _ => assert!(bare.is_empty()),
        }
        let painted = known.code.values.clone();
        system.correct(&mut known, &bare).unwrap();
        let blocks = map.of_block.len();
        let mut changed = 0;
        for (at, after) in known.code.values.iter().enumerate() {
            if bare.contains(&(at % blocks)) {
                changed += usize::from(*after != painted[at]);
            } else {
                assert_eq!(*after, before[at]);
            }
        }
        assert!(changed * 2 >= bare.len() * CHANNELS, "{changed}");
    }
}

/// Also where a region is far brighter than what is around it, as a lamp at night is.
#[test]
fn colours_of_regions_are_told_to_a_step_beside_a_thumbnail_or_about_the_mean() {
    let of_block = [0, 1, 1, 0];
    let analysis = Analysis::new(2, &of_block, &[2.0, 1.0, 1.0, 2.0], &[None; 2]);
    for (beside_thumbnail, wanted, step) in
        [(true, [0.95, -0.9], 1.0 / 127.0), (false, [0.7, -0.2], 1.0 / 255.0)]
    {
        let mut planes = Planes::zeros(2 * BLOCK, 2 * BLOCK);
        let region = |at: usize| {
            usize::from(of_block[at / (2 * BLOCK) % (2 * BLOCK) / BLOCK * 2 + at % (2 * BLOCK) / BLOCK])
        };
        planes.values.iter_mut().enumerate().for_each(|(at, value)| *value = wanted[region(at)]);
        let scale = ColourScale::new([60; 3], beside_thumbnail);
        let map = Map::of(&analysis, &colours(&planes, scale, &analysis), None, Purpose::People);
        let told = painted(&map, scale).values;
        let furthest = told.iter().zip(&planes.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest <= 0.51 * step, "{furthest}");
    }
}

/// Of a region whose values are all zero the map tells everything.
#[test]
fn silent_regions_are_known_whatever_is_lost() {
    let layouts = Layout::of(&[0, 1, 0, 1], 2, 2);
    let mut code = Code::unknown(CHANNELS, 2, 2);
    let (symbols, noise) = ([Complex32::ZERO; 16], [f32::INFINITY; 16]);
    integrated::demodulate(&symbols, &noise, None, &layouts[1], &[8; 4], &mut code);
    for (at, (value, variance)) in code.values.iter().zip(&code.variance).enumerate() {
        let known = at / 4 < 16 && at % 2 == 1;
        assert_eq!((*value, *variance), (0.0, if known { 0.0 } else { UNKNOWN }));
    }
}

/// The machine is told a class for every block, as long as it knows that it is asked.
#[test]
fn what_is_for_a_machine_arrives_as_classes_whatever_is_lost() {
    let intent = Intent { purpose: Purpose::Machine, ..Intent::default() };
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let message = system.encode(&content(200, 120), Budget::new(6000, 1500), &intent).unwrap();
        let whole = over_noise(&message, 0.01, 1);
        for lost in 0..1 << message.features.len().min(4) {
            let mut received = whole.clone();
            for (at, feature) in
                received.features.iter_mut().enumerate().filter(|(at, _)| lost >> at & 1 == 1)
            {
                lose(feature, 0.1 * at as f64, 1.0);
            }
            let decoded = system.decode(&received).unwrap();
            match decoded.content {
                Content::Labels(labels) => assert_eq!((labels.width(), labels.height()), (200, 120)),
                _ => assert!(lost & 1 == 1, "the map says whom it is for"),
            }
            assert!((0.0..=1.0).contains(&decoded.confidence));
        }
    }
}

#[test]
fn a_lost_region_harms_no_other() {
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let message = system.encode(&content(200, 120), Budget::new(6000, 1500), &Intent::default()).unwrap();
        let whole = over_noise(&message, 0.01, 1);
        let known = system.known(&whole).unwrap();
        let map = known.map.clone().unwrap();
        for lost in 1..message.features.len() {
            let mut damaged = whole.clone();
            lose(&mut damaged.features[lost], 0.0, 1.0);
            let left = system.known(&damaged).unwrap();
            let region = map.sent().nth(lost - 1).unwrap() as u8;
            for (at, (before, after)) in known.code.values.iter().zip(&left.code.values).enumerate() {
                let of_region = map.of_block[at % map.of_block.len()] == region;
                assert!(of_region || before == after);
                assert!(!of_region || left.code.variance[at] >= UNKNOWN);
            }
            let decoded = system.decode(&damaged).unwrap();
            assert!(decoded.confidence < 1.0 && quality(&picture(200, 120), &decoded) > 15.0);
        }
    }
}

#[test]
fn without_the_map_the_picture_is_of_its_mean_colour() {
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let message = system.encode(&content(96, 64), Budget::new(3000, 800), &Intent::default()).unwrap();
        let mut received = over_noise(&message, 0.01, 1);
        lose(&mut received.features[0], 0.2, 0.4);
        let decoded = system.decode(&received).unwrap();
        assert_eq!(decoded.confidence, 0.0);
        let Content::Picture(picture) = decoded.content else { panic!("a picture was sent") };
        assert!(picture.rgb().chunks_exact(3).all(|pixel| pixel == &picture.rgb()[..3]));
    }
}

#[test]
fn selective_mode_sends_less_and_paints_the_rest() {
    let intent = Intent { preserve: Preserve::Selective, ..Intent::default() };
    let original = picture(320, 240);
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let budget = Budget::new(8000, 2000);
        let overall = system.encode(&content(320, 240), budget, &Intent::default()).unwrap();
        let selective = system.encode(&content(320, 240), budget, &intent).unwrap();
        assert!(selective.features.len() < overall.features.len());
        let received = over_noise(&selective, 0.01, 1);
        let map = system.known(&received).unwrap().map.unwrap();
        let decoded = system.decode(&received).unwrap();
        let Content::Picture(arrived) = &decoded.content else { panic!("a picture was sent") };
        // What was not sent has about the colour that the map tells.
        for (region, told) in map.regions.iter().enumerate().filter(|(_, told)| told.coding == Coding::Unsent)
        {
            let blocks = map.across * map.down;
            let slow = map.thumbnail.as_ref().map(|told| told.of_blocks(map.across, map.down));
            let slow =
                |block: usize| slow.as_ref().map_or(0.0, |slow| 255.0 * f64::from(slow[blocks + block]));
            let (mut sum, mut count) = (0.0, 0.0);
            for y in 0..240 {
                for x in 0..320 {
                    let block = y / BLOCK * map.across + x / BLOCK;
                    if usize::from(map.of_block[block]) == region {
                        sum += f64::from(arrived.rgb()[3 * (y * 320 + x) + 1]) - slow(block);
                        count += 1.0;
                    }
                }
            }
            let side = Side::parse(&received.side).unwrap();
            let ColourScale { zero, steps } = map.colour_scale(side.mean);
            let told = (f64::from(told.colour[1]) - f64::from(zero[1])) / f64::from(steps);
            let error = sum / count - 255.0 * told - f64::from(side.mean[1]);
            assert!(error.abs() < 25.0, "{kind:?}, region {region}: off by {error}");
        }
        assert!(quality(&original, &decoded) > 14.0);
    }
}

#[test]
fn pictures_of_one_colour_and_of_one_pixel() {
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        for (width, height) in [(1, 1), (40, 30), (17, 16)] {
            let flat = Picture::new(width, height, [9, 130, 240].repeat((width * height) as usize)).unwrap();
            let content = Content::Picture(flat.clone());
            let message = system.encode(&content, Budget::new(900, 200), &Intent::default()).unwrap();
            assert_eq!(message.features.len(), 1);
            let decoded = system.decode(&over_noise(&message, 0.1, 1)).unwrap();
            let Content::Picture(arrived) = decoded.content else { panic!("a picture was sent") };
            let off = |(a, b): (&u8, &u8)| a.abs_diff(*b);
            assert!(arrived.rgb().iter().zip(flat.rgb()).map(off).max() < Some(12));
        }
    }
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_what_is_needed() {
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let error = system.encode(&content(96, 64), Budget::new(20, 5), &Intent::default()).unwrap_err();
        let ModelError::Budget { given, needed, .. } = error else { panic!("{error}") };
        assert!(needed > given, "{needed} of {given}");
    }
}

/// Where the first region is too large, another one may fit.
#[test]
fn what_is_sent_is_narrowed_from_the_least_important_on_to_one_that_fits() {
    let tried: Vec<Vec<usize>> = narrowed(&[true, false, true, true])
        .into_iter()
        .map(|sent| (0..sent.len()).filter(|&region| sent[region]).collect())
        .collect();
    assert_eq!(tried, [vec![0, 2], vec![0], vec![2], vec![3], vec![]]);
    assert_eq!(narrowed(&[false; 2]).len(), 0);
}

/// Between a budget for the map alone and one for everything there are those for the most important regions.
#[test]
fn what_does_not_fit_is_left_out_from_the_least_important_on() {
    for kind in [Kind::Modular, Kind::Integrated] {
        let mut system = system(kind);
        let mut sent: Vec<usize> = Vec::new();
        for symbols in (100..600).step_by(20).chain([800, 2000]) {
            let budget = Budget::new(symbols, symbols / 5);
            let Ok(message) = system.encode(&content(200, 120), budget, &Intent::default()) else {
                assert!(sent.is_empty(), "more symbols are worse: {sent:?}");
                continue;
            };
            let decoded = system.decode(&over_noise(&message, 0.01, 1)).unwrap();
            assert!(quality(&picture(200, 120), &decoded) > 13.0);
            let features = &message.features;
            assert!(features.windows(2).all(|pair| pair[0].importance >= pair[1].importance));
            sent.push(features.len() - 1);
        }
        assert!(
            sent.is_sorted() && sent[0] == 0 && sent.contains(&1) && sent[sent.len() - 1] > 3,
            "{sent:?}"
        );
    }
}

/// Whatever computes the values: what one device has written, another reads to the last bit, and what both would write is as good.
#[test]
#[ignore = "needs a graphics driver (mesa-vulkan-drivers will do)"]
#[cfg(feature = "wgpu")]
fn the_gpu_reads_the_bits_that_the_cpu_reads() {
    let on =
        |choice| Sct::new(Kind::Modular, &SystemOptions::default(), &open_device(choice).unwrap()).unwrap();
    let mut ends = [on(DeviceChoice::Cpu), on(DeviceChoice::Wgpu)];
    for writer in 0..2 {
        let message = ends[writer].encode(&content(200, 120), Budget::new(6000, 1500), &Intent::default());
        let received = over_noise(&message.unwrap(), 0.01, 1);
        let [ours, theirs] = ends.each_ref().map(|end| {
            let known = end.known(&received).unwrap();
            let map = known.map.clone().unwrap();
            let layouts = Layout::of(&map.of_block, known.code.across, map.regions.len());
            let regions = map.sent().zip(&received.features[1..]);
            let read: Vec<_> = regions
                .map(|(region, feature)| match (map.regions[region].coding, feature) {
                    (Coding::Modular(quantiser), ReceivedFeature::Digital { bytes, .. }) => {
                        modular::read(bytes, false, &end.tables, &layouts[region], quantiser)
                    }
                    _ => panic!("regions are bytes"),
                })
                .collect();
            (read, map.of_block, known.confidence())
        });
        assert!(ours.0.iter().any(|region| !region.is_empty()));
        assert_eq!(ours, theirs);
        let pictures = ends.each_mut().map(|end| end.decode(&received).unwrap().content);
        let [Content::Picture(ours), Content::Picture(theirs)] = pictures else { panic!("pictures") };
        let differ = ours.rgb().iter().zip(theirs.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(differ <= Some(1), "pixels differ by {differ:?}");
    }
}

/// What is read is integers, so it is the same on every machine and backend: this is the hash of what bytes at random hold.
#[test]
fn integers_are_read_bit_for_bit() {
    use sha2::{Digest, Sha256};
    let tables = Tables::parse(tables::DEFAULT).unwrap();
    let of_block = map::tests::patches(20, 15, 3);
    let layouts = Layout::of(&of_block, 20, 3);
    let mut rng = StdRng::seed_from_u64(5);
    let (mut hash, mut count) = (Sha256::new(), 0);
    for (region, layout) in layouts.iter().enumerate() {
        let (step, channels) = (30 + 10 * region as u8, 200);
        let values: Vec<i32> = (0..channels * layout.blocks.len())
            .map(|at| {
                let channel = at / layout.blocks.len();
                let size = 1 + 60 / (1 + channel as i32);
                rng.random_range(-size..=size) / rng.random_range(1..=3)
            })
            .collect();
        let mut encoder = crate::coder::Encoder::default();
        modular::write(&mut encoder, &tables, layout, step, &values, channels);
        let bytes = encoder.finish();
        let read = modular::read(&bytes, false, &tables, layout, Quantiser { step, channels });
        assert_eq!(read, values);
        // Soon no stream, but integers until then.
        for _ in 0..100 {
            let random: Vec<u8> = (0..100).map(|_| rng.random()).collect();
            let found = modular::read(&random, false, &tables, layout, Quantiser { step, channels });
            count += found.len();
            hash.update(found.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
        // The beginning is read from the beginning.
        for keep in [0, 3, bytes.len() / 3, bytes.len() - 1] {
            let beginning =
                modular::read(&bytes[..keep], true, &tables, layout, Quantiser { step, channels });
            assert!(values.starts_with(&beginning));
            assert!(beginning.len() < values.len());
        }
    }
    assert!(count > 3000, "{count}");
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "efb07fe61983a59b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Every subset of lost regions and parts of regions decodes.
    #[test]
    fn any_loss_decodes(
        losses in proptest::collection::vec((0usize..14, 0.0..1.0, 0.0..1.0), 0..16), seed in any::<u64>(),
    ) {
        for kind in [Kind::Modular, Kind::Integrated] {
            let mut system = system(kind);
            let message = system.encode(&content(80, 64), Budget::new(2500, 600), &Intent::default()).unwrap();
            let mut received = over_noise(&message, 0.1, seed);
            let count = received.features.len();
            for &(feature, a, b) in &losses {
                lose(&mut received.features[feature % count], f64::min(a, b), f64::max(a, b));
            }
            let decoded = system.decode(&received).unwrap();
            prop_assert!((0.0..=1.0).contains(&decoded.confidence));
        }
    }

    /// Whatever a faulty sender says, a picture or an error comes of it.
    #[test]
    fn hostile_features_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 1..300), which in 0usize..6, at in 0usize..400, bit in 0u8..8,
    ) {
        for kind in [Kind::Modular, Kind::Integrated] {
            let mut system = system(kind);
            let message = system.encode(&content(80, 64), Budget::new(2500, 600), &Intent::default()).unwrap();
            let mut received = over_noise(&message, 0.1, 1);
            let count = received.features.len();
            match &mut received.features[which % count] {
                ReceivedFeature::Digital { bytes: sent, .. } => {
                    let mut flipped = sent.to_vec();
                    if let Some(byte) = flipped.get_mut(at) {
                        *byte ^= 1 << bit;
                        *sent = flipped.into();
                    } else {
                        *sent = bytes.clone().into();
                    }
                }
                ReceivedFeature::Analog { symbols, noise_variance } => {
                    for (value, variance) in symbols.iter_mut().zip(noise_variance) {
                        *value = Complex32::new(f32::NAN, f32::from(bytes[0]));
                        *variance = f32::from_bits(u32::from(bytes[0]) << 23);
                    }
                }
            }
            let _ = system.decode(&received);
            received.features.truncate(1 + which % count);
            let _ = system.decode(&received);
        }
    }
}
