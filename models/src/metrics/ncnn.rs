//! Networks as ncnn stores them: the convolutions of a `.param` file with their weights from the `.bin` file.
//!
//! In → out: the bytes of both files → convolutions in the order of the file.
//!
//! A `.param` file is text: a magic number, the counts of layers and blobs, then one layer a line: type, name, counts of
//! inputs and outputs, their names, and settings `number=value`. The `.bin` file holds, for each convolution in the same
//! order, a u32 that says how its weights are stored, the weights, and its bias as 32-bit floats (ncnn: "param and model file
//! structure"). Layers without weights are skipped; other layers with weights cannot be told from those and make the
//! `.bin` file too long, which is an error.

use burn::tensor::f16;

/// First line of a `.param` file.
const MAGIC: &str = "7767517";
/// Weights as 16-bit floats, filled up to four bytes.
const HALVES: u32 = 0x0130_6B47;
/// Weights as 32-bit floats, with and without a mark of their own.
const FLOATS: [u32; 2] = [0, 0x0002_C056];
/// Bound on channels and on the side of a kernel, so that products fit.
const MOST: usize = 1 << 16;

/// A convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Outputs, inputs, height and width of the kernel.
    pub shape: [usize; 4],
    /// Weights in that order.
    pub weight: Vec<f32>,
    /// One value an output.
    pub bias: Vec<f32>,
}

/// The convolutions of a pair of files. Memory is bounded by the length of `bin`.
pub fn convolutions(param: &[u8], bin: &[u8]) -> Result<Vec<Convolution>, String> {
    let text = std::str::from_utf8(param).map_err(|_| "the .param file is not text")?;
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some(MAGIC) {
        return Err(format!("the .param file does not begin with {MAGIC}"));
    }
    let mut reader = Reader(bin);
    let mut found = Vec::new();
    for line in lines.skip(1).filter(|line| line.starts_with("Convolution")) {
        let name = line.split_whitespace().nth(1).unwrap_or("without a name");
        let layer = Layer::parse(line).map_err(|why| format!("the layer {name} of the .param file {why}"))?;
        let convolution = reader.convolution(&layer);
        found.push(
            convolution
                .ok_or_else(|| format!("the .bin file ends, or makes no sense, at the layer {name}"))?,
        );
    }
    if !reader.0.is_empty() {
        return Err(format!("the .bin file has {} bytes after the last convolution", reader.0.len()));
    }
    Ok(found)
}

/// What a line says of a convolution.
struct Layer {
    outputs: usize,
    weights: usize,
    shape: [usize; 4],
    bias: bool,
}

impl Layer {
    fn parse(line: &str) -> Result<Self, String> {
        if line.split_whitespace().next() != Some("Convolution") {
            return Err("is of a kind that is not supported".into());
        }
        let setting = |key: usize| -> Result<Option<usize>, String> {
            let mut all = line.split_whitespace().filter_map(|word| word.split_once('='));
            match all.find(|(name, _)| name.parse() == Ok(key)) {
                Some((_, value)) => match value.parse() {
                    Ok(value) => Ok(Some(value)),
                    Err(_) => Err(format!("has the setting {key}={value}, which is no whole number")),
                },
                None => Ok(None),
            }
        };
        let outputs = setting(0)?.unwrap_or(0);
        let width = setting(1)?.unwrap_or(0);
        let height = setting(11)?.unwrap_or(width);
        let weights = setting(6)?.unwrap_or(0);
        if ![outputs, width, height].iter().all(|value| (1..=MOST).contains(value)) {
            return Err(format!(
                "has {outputs} outputs and a kernel of {width} × {height}: expected 1 to {MOST}"
            ));
        }
        let inputs = weights / (outputs * width * height);
        if inputs == 0 || inputs * outputs * width * height != weights {
            return Err(format!("has {weights} weights, which does not fit its kernel"));
        }
        let bias = setting(5)?.unwrap_or(0) != 0;
        Ok(Self { outputs, weights, shape: [outputs, inputs, height, width], bias })
    }
}

/// What is left of the `.bin` file.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn floats(&mut self, count: usize) -> Option<Vec<f32>> {
        let bytes = self.take(count.checked_mul(4)?)?;
        Some(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    fn convolution(&mut self, layer: &Layer) -> Option<Convolution> {
        let mark = self.take(4)?;
        let mark = u32::from_le_bytes([mark[0], mark[1], mark[2], mark[3]]);
        let weight = match mark {
            HALVES => {
                let bytes = self.take(layer.weights.checked_mul(2)?.checked_next_multiple_of(4)?)?;
                let halves = bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32());
                halves.take(layer.weights).collect()
            }
            mark if FLOATS.contains(&mark) => self.floats(layer.weights)?,
            _ => return None,
        };
        let bias = if layer.bias { self.floats(layer.outputs)? } else { vec![0.0; layer.outputs] };
        Some(Convolution { shape: layer.shape, weight, bias })
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The files of a small network: 3 → 5 channels of 3 × 3, as halves; 5 → 2 of 1 × 1, as floats, no bias.
    pub fn small() -> (String, Vec<u8>) {
        let param = "7767517\n4 4\n\
            Input in0 0 1 in0\n\
            Convolution first 1 1 in0 1 0=5 1=3 11=3 3=2 5=1 6=135 9=1\n\
            Pooling pool 1 1 1 2 0=0 1=3 2=2\n\
            Convolution second 1 1 2 3 0=2 1=1 6=10\n";
        let mut bin = HALVES.to_le_bytes().to_vec();
        bin.extend((0..135).flat_map(|at| f16::from_f32(at as f32 / 8.0).to_le_bytes()));
        bin.extend([0, 0]);
        bin.extend((0..5).flat_map(|at| (at as f32).to_le_bytes()));
        bin.extend(0_u32.to_le_bytes());
        bin.extend((0..10).flat_map(|at| (at as f32 * 0.1).to_le_bytes()));
        (param.into(), bin)
    }

    #[test]
    fn weights_are_where_the_format_has_them() {
        let (param, bin) = small();
        let found = convolutions(param.as_bytes(), &bin).unwrap();
        assert_eq!(found[0].shape, [5, 3, 3, 3]);
        assert_eq!((found[0].weight[9], found[0].bias[4]), (9.0 / 8.0, 4.0));
        assert_eq!(found[1].shape, [2, 5, 1, 1]);
        assert_eq!((found[1].weight[3], found[1].bias.as_slice()), (0.3, [0.0; 2].as_slice()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (param, bin) = small();
        let error = |param: &str, bin: &[u8]| convolutions(param.as_bytes(), bin).unwrap_err();
        assert!(error(&param[1..], &bin).contains("7767517"));
        assert!(error(&param, &bin[..bin.len() - 1]).contains("second"));
        assert!(error(&param, &[bin.as_slice(), &[0]].concat()).contains("1 bytes after"));
        let huge = param.replace("6=135", "6=18446744073709551615");
        assert!(error(&huge, &bin).contains("does not fit its kernel"));
        assert!(error(&param.replace("6=135", "6=x"), &bin).contains("no whole number"));
        let depthwise = param.replace("Convolution second", "ConvolutionDepthWise second");
        assert!(error(&depthwise, &bin).contains("not supported"));
    }

    proptest! {
        #[test]
        fn damage_never_panics_and_never_grows(at in 0_usize..700, to: u8, cut in 0_usize..700, in_bin: bool) {
            let (param, mut bin) = small();
            let mut param = param.into_bytes();
            let damaged = if in_bin { &mut bin } else { &mut param };
            if let Some(byte) = damaged.get_mut(at) {
                *byte = to;
            }
            damaged.truncate(cut);
            if let Ok(found) = convolutions(&param, &bin) {
                prop_assert!(found.iter().map(|one| one.weight.len()).sum::<usize>() <= bin.len() / 2);
            }
        }
    }
}
