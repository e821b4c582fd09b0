//! The whole system over an ideal channel: sizes, noise, losses, hostile input, tiles, devices.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::test_card;

use super::*;
use crate::metrics::psnr_db;
use crate::{DeviceChoice, open_device};

fn system() -> Autoencoder {
    Autoencoder::new(&open_device(DeviceChoice::Cpu).unwrap()).unwrap()
}

fn variational(id: SystemId, variance: VarianceChoice) -> Autoencoder {
    let bytes = if id == SystemId::Vae { weights::VAE } else { weights::VSCC };
    Autoencoder::variational(id, bytes.to_vec(), variance, &open_device(DeviceChoice::Cpu).unwrap()).unwrap()
}

/// The upper left part of the test card.
fn picture(width: u32, height: u32) -> Picture {
    let card = test_card::draw(3).unwrap();
    let rows = card.rgb().chunks_exact(3 * card.width() as usize).skip(150).take(height as usize);
    let rgb = rows.flat_map(|row| &row[..3 * width as usize]).copied().collect();
    Picture::new(width, height, rgb).unwrap()
}

/// So many symbols for what meets an SNR, dB.
fn expecting(symbols: usize, snr_db: f32) -> Budget {
    Budget { snr_db: Some(snr_db), ..Budget::new(symbols, 0) }
}

/// Adds noise of a variance to symbols of unit power.
fn noisy(symbols: &[Complex32], variance: f32, seed: u64) -> Vec<Complex32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut normal = move || -> f32 { StandardNormal.sample(&mut rng) };
    let scale = (variance / 2.0).sqrt();
    symbols.iter().map(|symbol| symbol + Complex32::new(normal(), normal()) * scale).collect()
}

fn over_noise(system: &Autoencoder, picture: &Picture, symbols: usize, snr_db: f32) -> f64 {
    let variance = 10.0_f32.powf(-snr_db / 10.0);
    let blocks = picture.width().div_ceil(16) as usize * picture.height().div_ceil(16) as usize;
    let (side, sent) = system.modulate(picture, expecting(symbols * blocks, snr_db)).unwrap();
    let received = noisy(&sent, variance, 5);
    let arrived = system.demodulate(&side, &received, &vec![variance; received.len()]).unwrap();
    psnr_db(picture, &arrived).unwrap()
}

fn received(message: &SemanticMessage, variance: f32) -> ReceivedMessage {
    let [Feature { payload: Payload::Digital(base), .. }, Feature { payload: Payload::Analog(symbols), .. }] =
        message.features.as_slice()
    else {
        panic!("a base and symbols");
    };
    ReceivedMessage {
        system: message.system,
        model: message.model,
        side: message.side.clone(),
        features: vec![
            ReceivedFeature::Digital { bytes: base.clone(), missing: Vec::new() },
            ReceivedFeature::Analog {
                symbols: noisy(symbols, variance, 1),
                noise_variance: vec![variance; symbols.len()],
            },
        ],
    }
}

#[test]
fn pictures_of_any_size_arrive() {
    let mut system = system();
    for (width, height) in [(1, 1), (17, 33), (64, 50), (768, 330)] {
        let picture = picture(width, height);
        let content = Content::Picture(picture.clone());
        let blocks = width.div_ceil(16) as usize * height.div_ceil(16) as usize;
        let message = system.encode(&content, Budget::new(100 * blocks, 0), &Intent::default()).unwrap();
        let Payload::Analog(symbols) = &message.features[1].payload else { panic!("symbols are analog") };
        assert!(symbols.len() <= 100 * blocks);
        let decoded = system.decode(&received(&message, 1e-3)).unwrap();
        let Content::Picture(arrived) = decoded.content else { panic!("a picture came back as text") };
        assert!((0.98..=1.0).contains(&decoded.confidence));
        let quality = psnr_db(&picture, &arrived).unwrap();
        assert!(quality > 22.0, "{width}x{height}: {quality} dB");
    }
}

#[test]
fn quality_rises_with_snr_and_rate() {
    let system = system();
    let picture = picture(256, 192);
    let by_snr: Vec<f64> =
        [-5.0, 0.0, 5.0, 10.0, 15.0].map(|snr| over_noise(&system, &picture, 48, snr)).into();
    assert!(by_snr.windows(2).all(|pair| pair[1] > pair[0] + 0.3), "{by_snr:?}");
    assert!(by_snr[0] > 15.0, "{by_snr:?}");
    let by_rate: Vec<f64> =
        [16, 32, 64, 128].map(|symbols| over_noise(&system, &picture, symbols, 10.0)).into();
    assert!(by_rate.windows(2).all(|pair| pair[1] > pair[0] + 0.3), "{by_rate:?}");
}

#[test]
fn symbols_that_are_left_repeat_what_was_sent() {
    let mut system = system();
    let picture = picture(256, 192);
    let blocks = 16 * 12;
    let budget = expecting(320 * blocks, 0.0);
    let (side, sent) = system.modulate(&picture, budget).unwrap();
    let all = sent.len() + budget.symbols_for(side.base_bytes().len(), BASE_LEVEL);
    assert!(sent.len() > 300 * blocks && all <= budget.symbols, "{all}");
    let power = sent.iter().map(|symbol| symbol.norm_sqr()).sum::<f32>() / sent.len() as f32;
    assert!((power - 1.0).abs() < 1e-3, "{power}");
    let came = noisy(&sent, 1.0, 3);
    let arrived = |variance: &[f32]| {
        let arrived = system.demodulate(&side, &came, variance).unwrap();
        psnr_db(&picture, &arrived).unwrap()
    };
    let all = arrived(&vec![1.0; sent.len()]);
    // Without the first time that they were sent.
    let once = arrived(&[vec![f32::INFINITY; 128 * blocks], vec![1.0; sent.len() - 128 * blocks]].concat());
    assert!(all > once + 0.5 && once > 20.0, "{all} and {once} dB");
    // Of a value sent two or three times at 0 dB, a third or a quarter of what is not known is left instead of half.
    let message = system.encode(&Content::Picture(picture.clone()), budget, &Intent::default()).unwrap();
    let decoded = system.decode(&received(&message, 1.0)).unwrap();
    let Content::Picture(arrived) = decoded.content else { panic!("a picture was sent") };
    assert!(psnr_db(&picture, &arrived).unwrap() > once + 0.5);
    assert!((0.6..0.8).contains(&decoded.confidence), "{}", decoded.confidence);
}

#[test]
fn symbols_have_unit_power() {
    let system = system();
    let flat = Picture::new(40, 40, [7, 200, 90].repeat(1600)).unwrap();
    for picture in [picture(100, 100), flat] {
        let (_, symbols) = system.modulate(&picture, expecting(48 * 49, 10.0)).unwrap();
        let power = symbols.iter().map(|symbol| symbol.norm_sqr()).sum::<f32>() / symbols.len() as f32;
        assert!((power - 1.0).abs() < 1e-3, "{power}");
    }
}

#[test]
fn a_picture_of_one_colour_arrives_whatever_the_noise() {
    let mut system = system();
    let flat = Content::Picture(Picture::new(33, 20, [7, 200, 90].repeat(660)).unwrap());
    let message = system.encode(&flat, Budget::new(1000, 0), &Intent::default()).unwrap();
    assert_eq!(system.decode(&received(&message, 100.0)).unwrap().content, flat);
}

#[test]
fn lost_symbols_cost_quality_but_not_the_picture() {
    let system = system();
    let picture = picture(256, 192);
    let (side, sent) = system.modulate(&picture, expecting(64 * 192, 10.0)).unwrap();
    // The link spreads neighbours over the air, so that a lost stretch is a scattered loss.
    let quality = |percent: usize| {
        let (mut symbols, mut variance) = (noisy(&sent, 0.01, 9), vec![0.01; sent.len()]);
        for lost in (0..sent.len()).filter(|at| at * 61 % 100 < percent) {
            symbols[lost] = Complex32::ZERO;
            variance[lost] = f32::INFINITY;
        }
        psnr_db(&picture, &system.demodulate(&side, &symbols, &variance).unwrap()).unwrap()
    };
    let [whole, tenth, half, all] = [0, 10, 50, 100].map(quality);
    assert!(whole > tenth && tenth > half && half > all, "{whole} {tenth} {half} {all}");
    assert!(tenth > 18.0, "{tenth}");
}

#[test]
fn tiles_give_the_same_as_one_pass() {
    let mut system = system();
    let picture = picture(768, 330);
    let (side, whole) = system.modulate(&picture, expecting(24 * 48 * 21, 10.0)).unwrap();
    let arrived = system.demodulate(&side, &whole, &vec![0.02; whole.len()]).unwrap();
    system.transform.core_blocks = 12;
    let (tiled_side, tiled) = system.modulate(&picture, expecting(24 * 48 * 21, 10.0)).unwrap();
    assert_eq!(side, tiled_side);
    let most = whole.iter().zip(&tiled).map(|(a, b)| (a - b).norm()).fold(0.0, f32::max);
    assert!(most < 1e-3, "symbols differ by {most}");
    let again = system.demodulate(&side, &whole, &vec![0.02; whole.len()]).unwrap();
    let most = arrived.rgb().iter().zip(again.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "pixels differ by {most:?}");
}

#[test]
fn what_cannot_be_is_an_error_that_says_why() {
    let mut system = system();
    let text = Content::text("hello").unwrap();
    let error = system.encode(&text, Budget::new(100, 100), &Intent::default()).unwrap_err();
    assert!(error.to_string().contains("--system classical"), "{error}");
    let content = Content::Picture(picture(64, 64));
    let error = system.encode(&content, Budget::new(150, 0), &Intent::default()).unwrap_err();
    let ModelError::Budget { needed, .. } = error else { panic!("{error}") };
    assert!((151..300).contains(&needed), "{needed}");
    assert!(system.encode(&content, Budget::new(needed, 0), &Intent::default()).is_ok());
    let message = system.encode(&content, Budget::new(600, 0), &Intent::default()).unwrap();
    let mut foreign = received(&message, 0.1);
    foreign.model = ModelDigest([1; 8]);
    let error = system.decode(&foreign).unwrap_err().to_string();
    assert!(error.contains("0101010101010101") && error.contains(&system.model().to_string()), "{error}");
    let mut short = received(&message, 0.1);
    if let ReceivedFeature::Analog { symbols, .. } = &mut short.features[1] {
        symbols.pop();
    }
    assert!(matches!(system.decode(&short), Err(ModelError::Damaged(_))));
}

/// Of a picture of 20 × 30 pixels that is sent with the fewest symbols.
fn least_side(variance_power: Option<f32>) -> Side {
    let grid = Grid { across: 2, down: 2, side: 1 };
    let (rates, thumbnail) = (vec![0; 4], None);
    Side {
        width: 20,
        height: 30,
        mean: [9; 3],
        told_db: 10,
        power: Some(1.0),
        variance_power,
        grid,
        rates,
        thumbnail,
    }
}

#[test]
fn without_its_base_a_picture_is_of_one_colour() {
    let mut system = system();
    let content = Content::Picture(picture(64, 50));
    let message = system.encode(&content, Budget::new(2000, 0), &Intent::default()).unwrap();
    let mut message = received(&message, 0.1);
    let ReceivedFeature::Digital { missing, .. } = &mut message.features[0] else { panic!("bytes") };
    missing.push(0..1);
    let decoded = system.decode(&message).unwrap();
    let Content::Picture(arrived) = decoded.content else { panic!("a picture came back as text") };
    assert_eq!((arrived.width(), arrived.height(), decoded.confidence), (64, 50, 0.0));
    assert!(arrived.rgb().chunks_exact(3).all(|pixel| pixel == &arrived.rgb()[..3]));
}

/// What is sent of a picture's slow changes as bytes leaves power for the rest.
#[test]
fn slow_changes_cost_the_symbols_no_power() {
    let system = system();
    let ramp = (0..256 * 256).flat_map(|at| [(at % 256) as u8, (at / 256) as u8, 128]).collect();
    let ramp = Picture::new(256, 256, ramp).unwrap();
    let (side, _) = system.modulate(&ramp, expecting(48 * 256, 1.0)).unwrap();
    assert!(side.base_bytes().len() < 60, "{}", side.base_bytes().len());
    let quality = over_noise(&system, &ramp, 48, 1.0);
    assert!(quality > 33.0, "{quality} dB");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Symbols and variances that no receiver should give: not numbers, infinite, negative, huge.
    #[test]
    fn any_symbols_give_a_picture(
        values in proptest::collection::vec(
            prop_oneof![any::<f32>(), Just(f32::NAN), Just(f32::INFINITY), Just(0.0), -2.0_f32..2.0], 3 * 32),
        power in any::<i16>(),
    ) {
        let side = least_side(None);
        let mut bytes = side.to_bytes();
        bytes[9..11].copy_from_slice(&power.to_le_bytes());
        let side = Side::parse(&bytes, Some(&side.base_bytes())).unwrap();
        let symbols: Vec<_> = values[..32].iter().zip(&values[32..64]).map(|(re, im)| Complex32::new(*re, *im)).collect();
        let picture = system().demodulate(&side, &symbols, &values[64..]).unwrap();
        prop_assert_eq!((picture.width(), picture.height()), (20, 30));
    }
}

const CHOICES: [VarianceChoice; 2] = [VarianceChoice::Fixed, VarianceChoice::Transmitted];

#[test]
fn variational_systems_send_every_rate_and_size() {
    for id in [SystemId::Vae, SystemId::Vscc] {
        for variance in CHOICES {
            let mut system = variational(id, variance);
            for (width, height, rate) in
                [(1, 1, 256), (17, 33, 34), (64, 50, 40), (80, 31, 110), (33, 95, 300)]
            {
                let picture = picture(width, height);
                let blocks = width.div_ceil(16) as usize * height.div_ceil(16) as usize;
                let budget = Budget::new(rate * blocks, 0);
                let message =
                    system.encode(&Content::Picture(picture.clone()), budget, &Intent::default()).unwrap();
                assert_eq!(message.system, id);
                let Payload::Analog(symbols) = &message.features[1].payload else {
                    panic!("symbols are analog")
                };
                assert!(symbols.len() <= budget.symbols, "{} of {}", symbols.len(), budget.symbols);
                let power =
                    symbols.iter().map(|symbol| symbol.norm_sqr()).sum::<f32>() / symbols.len() as f32;
                assert!((power - 1.0).abs() < 1e-3, "{power}");
                let message = received(&message, 1e-3);
                let Content::Picture(arrived) = system.decode(&message).unwrap().content else {
                    panic!("a picture came back as text")
                };
                let quality = psnr_db(&picture, &arrived).unwrap();
                assert!(quality > 18.0, "{id} {variance:?} {width}x{height}: {quality} dB");
                // What is drawn follows from the message: every receiver sees the same.
                assert_eq!(system.decode(&message).unwrap().content, Content::Picture(arrived));
            }
        }
    }
}

#[test]
fn variational_systems_get_better_with_the_snr() {
    let picture = picture(256, 192);
    for id in [SystemId::Vae, SystemId::Vscc] {
        let system = variational(id, VarianceChoice::Fixed);
        let by_snr = [-5.0, 5.0, 15.0].map(|snr| over_noise(&system, &picture, 48, snr));
        assert!(by_snr.windows(2).all(|pair| pair[1] > pair[0] + 0.5), "{id}: {by_snr:?}");
    }
}

#[test]
fn what_is_drawn_has_the_variance_that_is_announced() {
    let (known, variance) = (vec![0.2_f32.ln(), 0.05_f32.ln()], [3.0, 0.5]);
    let draws = |sent: Option<(Complex32, f32)>| {
        let mut resampling = Resampling { known: &known, scale: 2.0, rng: StdRng::seed_from_u64(1) };
        let mut sums = [0.0_f32; 2];
        let mut announced = [0.0; 2];
        for _ in 0..20_000 {
            let drawn;
            (drawn, announced) =
                resampling.draw(0, sent.as_ref().map(|(symbol, noise)| (symbol, noise)), &variance);
            sums[0] += drawn.re * drawn.re / 20_000.0;
            sums[1] += drawn.im * drawn.im / 20_000.0;
        }
        for (found, announced) in sums.into_iter().zip(announced) {
            assert!((found / announced - 1.0).abs() < 0.04, "{found} instead of {announced}");
        }
        announced
    };
    let fixed = draws(None);
    assert!((fixed[0] - 0.6).abs() < 1e-5 && (fixed[1] - 0.025).abs() < 1e-6, "{fixed:?}");
    // Symbols of amplitude a, with no noise, say ln σ² = known + 2a.
    let sent = draws(Some((Complex32::new(0.5, -0.25), 0.0)));
    assert!((sent[0] / fixed[0] - 1.0_f32.exp()).abs() < 1e-4, "{sent:?}");
    assert!((sent[1] / fixed[1] - (-0.5_f32).exp()).abs() < 1e-4, "{sent:?}");
    // Half noise: half as far from what is known; nothing but noise, or nothing at all: what is known.
    let noisy = draws(Some((Complex32::new(0.5, 0.0), 1.0)));
    assert!((noisy[0] / fixed[0] - 0.5_f32.exp()).abs() < 1e-4, "{noisy:?}");
    for lost in
        [(Complex32::ZERO, f32::INFINITY), (Complex32::new(f32::NAN, 1e30), 1.0), (Complex32::ONE, f32::NAN)]
    {
        assert_eq!(draws(Some(lost)), fixed);
    }
}

#[test]
fn lost_variances_cost_little_and_lost_values_the_picture() {
    let system = variational(SystemId::Vscc, VarianceChoice::Transmitted);
    let picture = picture(256, 192);
    let (side, sent) = system.modulate(&picture, expecting(96 * 192, 10.0)).unwrap();
    let quality = |lost: std::ops::Range<usize>| {
        let (mut symbols, mut variance) = (noisy(&sent, 0.01, 9), vec![0.01; sent.len()]);
        symbols[lost.clone()].fill(Complex32::ZERO);
        variance[lost].fill(f32::INFINITY);
        psnr_db(&picture, &system.demodulate(&side, &symbols, &variance).unwrap()).unwrap()
    };
    let half = sent.len() / 2;
    let (whole, no_variances, no_values) = (quality(0..0), quality(half..sent.len()), quality(0..half));
    // Without variances, known ones stand in; without values, next to nothing is left.
    assert!((whole - no_variances).abs() < 4.0, "{whole} dB, without variances {no_variances} dB");
    assert!(no_values < no_variances - 5.0, "{no_variances} dB, without values {no_values} dB");
}

#[test]
fn hostile_messages_to_variational_systems_give_a_picture_or_an_error() {
    let vscc = variational(SystemId::Vscc, VarianceChoice::Fixed);
    let ae = system();
    let hostile =
        prop_oneof![any::<f32>(), Just(f32::NAN), Just(f32::NEG_INFINITY), Just(0.0), -2.0_f32..2.0];
    let values = proptest::collection::vec(hostile, 3 * 64);
    proptest!(ProptestConfig { cases: 24, ..ProptestConfig::default() }, |(values in values, powers in any::<[u8; 4]>())| {
        let side = least_side(Some(1.0));
        let mut bytes = side.to_bytes();
        bytes[9..11].copy_from_slice(&powers[..2]);
        bytes[12..14].copy_from_slice(&powers[2..]);
        let side = Side::parse(&bytes, Some(&side.base_bytes())).unwrap();
        let symbols: Vec<_> =
            values[..64].iter().zip(&values[64..128]).map(|(re, im)| Complex32::new(*re, *im)).collect();
        match side.variance_power {
            Some(_) => {
                let picture = vscc.demodulate(&side, &symbols, &values[128..]).unwrap();
                prop_assert_eq!((picture.width(), picture.height()), (20, 30));
                let error = ae.demodulate(&side, &symbols, &values[128..]).unwrap_err().to_string();
                prop_assert!(error.contains("of which ae knows nothing"), "{}", error);
            }
            None => prop_assert!(vscc.demodulate(&side, &symbols, &values[128..]).is_err()),
        }
    });
}

#[test]
fn weights_of_ae_are_not_taken_for_those_of_vscc() {
    let device = open_device(DeviceChoice::Cpu).unwrap();
    let wrong =
        Autoencoder::variational(SystemId::Vscc, weights::DEFAULT.to_vec(), VarianceChoice::Fixed, &device);
    assert!(
        matches!(wrong, Err(ModelError::Internal(text)) if text.contains("the weights of vscc do not load"))
    );
}

/// Random pictures of several sizes through encoder and decoder on both devices, each half fed with the CPU's values, and
/// the whole system with its tiles: within 1e-3 of pictures in 0 to 1.
#[test]
#[ignore = "needs a graphics driver (mesa-vulkan-drivers will do)"]
#[cfg(feature = "wgpu")]
fn the_gpu_encodes_and_decodes_as_the_cpu_does() {
    use super::network::CHANNELS;
    use super::transform::values;
    use burn::tensor::{Tensor, TensorData};
    use rand::Rng;

    let cpu = system();
    let gpu = Autoencoder::new(&open_device(DeviceChoice::Wgpu).unwrap()).unwrap();
    let mut rng = StdRng::seed_from_u64(11);
    let most = |ours: &[f32], theirs: &[f32]| {
        assert_eq!(ours.len(), theirs.len());
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    for (down, across) in [(1, 1), (4, 5), (16, 16), (9, 30)] {
        let pixels = 3 * down * BLOCK * across * BLOCK;
        let picture: Vec<f32> = (0..pixels).map(|_| rng.random_range(-0.5..0.5)).collect();
        let encode = |system: &Autoencoder| {
            let data = TensorData::new(picture.clone(), [1, 3, down * BLOCK, across * BLOCK]);
            values(
                system
                    .transform
                    .network
                    .encoder
                    .forward(Tensor::<4>::from_data(data, &system.transform.device)),
            )
            .unwrap()
        };
        let (ours, theirs) = (encode(&cpu), encode(&gpu));
        let differ = most(&ours, &theirs);
        assert!(differ < 1e-3, "{across}x{down} blocks: symbols differ by {differ}");

        let variance: Vec<f32> = ours.iter().map(|_| 10.0_f32.powf(rng.random_range(-3.0..1.0))).collect();
        let noise = |variance: &f32| -> f32 {
            let normal: f32 = StandardNormal.sample(&mut StdRng::seed_from_u64(variance.to_bits().into()));
            normal * variance.sqrt()
        };
        let received: Vec<f32> = ours.iter().zip(&variance).map(|(value, of)| value + noise(of)).collect();
        let decode = |system: &Autoencoder| {
            let shape = [1, CHANNELS, down, across];
            let tensor = |values: &[f32]| {
                Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &system.transform.device)
            };
            values(system.transform.network.decoder.forward(tensor(&received), tensor(&variance))).unwrap()
        };
        let differ = most(&decode(&cpu), &decode(&gpu));
        assert!(differ < 1e-3, "{across}x{down} blocks: pictures differ by {differ}");
    }

    let picture = picture(200, 120);
    let (side, sent) = cpu.modulate(&picture, expecting(48 * 104, 10.0)).unwrap();
    let (received, variance) = (noisy(&sent, 0.1, 2), vec![0.1; sent.len()]);
    let on_cpu = cpu.demodulate(&side, &received, &variance).unwrap();
    let on_gpu = gpu.demodulate(&side, &received, &variance).unwrap();
    let most = on_cpu.rgb().iter().zip(on_gpu.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "pixels differ by {most:?}");
}
