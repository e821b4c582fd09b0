//! Files of every format, fitting and not, whole and damaged.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;

const ZIP: &[u8] = include_bytes!("../../tests/taef2/encoder.pth");
const LEGACY: &[u8] = include_bytes!("../../tests/taef2/decoder.pth");

/// A safetensors file of 32-bit floats.
fn safetensors(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let end = data.len();
        header
            .push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
    }
    let header = format!("{{{}}}", header.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

fn net() -> Net {
    let device = Device::flex();
    Net {
        first: LinearConfig::new(2, 3).init(&device),
        second: LinearConfig::new(3, 1).with_bias(false).init(&device),
    }
}

const MATRIX: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

fn fitting() -> Vec<u8> {
    safetensors(&[
        ("net.0.weight", &[3, 2], &MATRIX),
        ("net.0.bias", &[3], &[0.5, 0.25, 0.125]),
        ("net.2.weight", &[1, 3], &[1.0, -1.0, 2.0]),
    ])
}

fn map() -> KeyMap {
    KeyMap::pytorch().rename(r"^net\.0", "first").unwrap().rename(r"^net\.(2)", "second").unwrap()
}

#[test]
fn matrices_of_pytorch_are_transposed_and_names_changed() {
    let weights = ForeignWeights::parse(fitting()).unwrap();
    let net = weights.load_into(&map(), net()).unwrap();
    // Row i of PyTorch's matrix makes output i.
    let input = Tensor::<2>::from_data(TensorData::new(vec![1.0_f32, 10.0], [1, 2]), &Device::flex());
    let output: Vec<f32> = net.first.forward(input.clone()).into_data().iter::<f32>().collect();
    assert_eq!(output, [21.5, 43.25, 65.125]);
    let output = net.second.forward(net.first.forward(input)).into_data().iter::<f32>().next();
    assert_eq!(output, Some(21.5 - 43.25 + 130.25));
}

#[test]
fn what_does_not_fit_is_named() {
    let bytes = safetensors(&[
        ("net.0.weight", &[2, 3], &MATRIX),
        ("net.0.bias", &[3], &[0.0; 3]),
        ("net.4.weight", &[1], &[1.0]),
    ]);
    let error = ForeignWeights::parse(bytes).unwrap().load_into(&map(), net()).unwrap_err();
    let ForeignError::Mismatch(mismatch) = &error else { panic!("{error}") };
    assert_eq!(mismatch.missing, ["second.weight"]);
    assert_eq!(mismatch.superfluous, ["net.4.weight"]);
    assert_eq!(mismatch.misshapen, ["first.weight ([3, 2] instead of [2, 3])"]);
    let text = error.to_string();
    assert!(text.contains("missing: second.weight; superfluous: net.4.weight; misshapen: first"), "{text}");
    let twice = KeyMap::pytorch().rename(r"\.[024]\.", ".").unwrap();
    let error = ForeignWeights::parse(fitting()).unwrap().load_into(&twice, net()).unwrap_err();
    assert!(error.to_string().contains("net.weight"), "{error}");
    assert!(matches!(KeyMap::new().rename("(", ""), Err(ForeignError::KeyMap(_))));
}

#[test]
fn both_containers_of_pytorch_are_read() {
    for (bytes, first, shape) in [(ZIP, "0.bias", [4]), (LEGACY, "1.bias", [4])] {
        let weights = ForeignWeights::parse(bytes.to_vec()).unwrap();
        assert_eq!(weights.shapes().count(), 79);
        let (found, values) = weights.values(first).unwrap();
        assert_eq!(found, shape);
        assert!(values.iter().all(|value| value.abs() < 2.0) && values[0] != values[1]);
        assert_ne!(weights.digest(), ModelDigest::default());
        assert!(matches!(weights.values("20.bias"), Err(ForeignError::NoTensor(_))));
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", b"GGUF and so on"] {
        assert!(matches!(ForeignWeights::parse(bytes.to_vec()), Err(ForeignError::Unknown)));
    }
}

/// Everything that can be asked of a file: nothing may panic, whatever comes out.
fn use_it(bytes: Vec<u8>) {
    let length = bytes.len();
    let Ok(weights) = ForeignWeights::parse(bytes) else { return };
    let names: Vec<String> = weights.shapes().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if let Ok((shape, values)) = weights.values(&name) {
            assert_eq!(shape.iter().product::<usize>(), values.len());
            assert!(values.len() <= length, "{} values from {length} bytes", values.len());
        }
    }
    let _ = weights.load_into(&map(), net());
}

fn mutated(seed: &[u8], changes: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

/// The pickle of a checkpoint alone: where most of the reader's work is.
fn legacy_head() -> usize {
    // The numbers follow the list of keys, which ends with the first stop behind the last key.
    LEGACY.windows(2).rposition(|two| two == b"e.").unwrap() + 2
}

/// What pickles are made of.
const OPCODES: &[&[u8]] = &[
    b"(",
    b"}",
    b"]",
    b")",
    b"q\x01",
    b"h\x01",
    b"K\x02",
    b"X\x01\x00\x00\x00a",
    b"X\x07\x00\x00\x00storage",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch\nFloatStorage\n",
    b"ccollections\nOrderedDict\n",
    b"R",
    b"Q",
    b"t",
    b"u",
    b"s",
    b"e",
    b"a",
    b"2",
    b"0",
    b"1",
    b"b",
    b"\x86",
    b"\x87",
    b".",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn damaged_safetensors_are_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        use_it(mutated(&fitting(), &changes, cut));
    }

    #[test]
    fn damaged_archives_are_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        use_it(mutated(ZIP, &changes, cut));
    }

    #[test]
    fn damaged_legacy_streams_are_an_error(
        changes in prop::collection::vec((0..legacy_head(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = LEGACY.to_vec();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        use_it(bytes);
    }

    /// Any pickle at all behind the magic number.
    #[test]
    fn random_pickles_are_an_error(
        opcodes in prop::collection::vec(prop::sample::select(OPCODES), 0..60),
    ) {
        let start = LEGACY.windows(2).position(|two| two == b"..").map_or(64, |at| at + 2);
        let mut bytes = LEGACY[..start.min(64)].to_vec();
        bytes.extend(opcodes.concat());
        bytes.extend(b"....");
        use_it(bytes);
        let mut bytes = b"\x80\x02".to_vec();
        bytes.extend(opcodes.concat());
        let mut at = 0;
        let _ = super::pickle::Pickle::read(&bytes, &mut at);
        prop_assert!(at <= bytes.len());
    }
}

/// A tensor cannot be larger than what the file holds of it, however it strides.
#[test]
fn tensors_that_claim_more_than_the_file_has_are_refused() {
    // The first shape in the pickle of the small decoder is (4, 2, 3, 3); K is a number of one byte.
    let shape = b"(K\x04K\x02K\x03K\x03t";
    let at = LEGACY.windows(shape.len()).position(|window| window == shape).unwrap();
    let mut bytes = LEGACY.to_vec();
    bytes[at + 2] = 5;
    let error = ForeignWeights::parse(bytes).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("1.weight") && error.contains("more numbers than the file has"), "{error}");
}
