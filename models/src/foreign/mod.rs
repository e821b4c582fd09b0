//! Weights that other programs have written: safetensors and PyTorch checkpoints → named tensors → a network.
//!
//! In → out: the bytes of a file → its tensors, still unread → a module whose numbers they are.
//!
//! - [`ForeignWeights::parse`]: which format it is, the file shows by itself.
//! - [`KeyMap`]: how the tensors are named and laid out there, as against here.
//! - [`ForeignWeights::load_into`]: every tensor of the module must be there, of its shape, and nothing else.
//! - `checkpoint`: PyTorch's two containers (zip archive and legacy stream); `archive`: the zip archive;
//!   `pickle`: the language in which they describe their tensors.
//!
//! PyTorch's files are read here rather than by a library because the one that would do takes paths instead of bytes and
//! changes features of crates below the tensor library. Nothing in a pickle is ever executed: of its language, what
//! builds dictionaries of tensors is understood, and all else is a value without meaning. A tensor is never larger than
//! its part of the file, so a file cannot make the reader allocate much more than it is long itself.

pub(crate) mod archive;
mod checkpoint;
mod pickle;

use std::collections::BTreeSet;
use std::fmt;

use burn::tensor::DType;
use burn_store::burn_pack::Tensor as StoredTensor;
use burn_store::{
    ApplyError, FloatCastAdapter, KeyRemapper, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, SafetensorsStore, bridge,
};
use semcast_common::message::ModelDigest;

use crate::ae::weights::digest_of;

/// Names that one list of an error shows at most.
const SHOWN: usize = 8;

/// Why foreign weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The file is of no known format.
    #[error(
        "not a file of weights: expected safetensors, or a PyTorch checkpoint (.pt, .pth; zip or legacy) of a state_dict"
    )]
    Unknown,
    /// The file is damaged, or uses what is not supported.
    #[error("the file of weights cannot be read: {0}")]
    Damaged(String),
    /// There is no tensor of that name.
    #[error("the file of weights has no tensor {0:?}")]
    NoTensor(String),
    /// A rule of the key map is no regular expression.
    #[error("key map: {0}")]
    KeyMap(String),
    /// The tensors are not those of the network.
    #[error("the weights do not fit the network{}", .0)]
    Mismatch(Mismatch),
}

/// How the tensors of a file differ from those of a network, by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Those that the network needs and the file lacks.
    pub missing: Vec<String>,
    /// Those that the file has and the network does not know.
    pub superfluous: Vec<String>,
    /// Those of another shape or kind, with both.
    pub misshapen: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, names) in
            [("missing", &self.missing), ("superfluous", &self.superfluous), ("misshapen", &self.misshapen)]
        {
            if names.is_empty() {
                continue;
            }
            write!(f, "; {what}: {}", names[..names.len().min(SHOWN)].join(", "))?;
            if names.len() > SHOWN {
                write!(f, " and {} more", names.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// How tensors are named and laid out in a file.
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    renames: KeyRemapper,
    pytorch: bool,
}

impl KeyMap {
    /// Names and layouts as Burn has them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Layouts as PyTorch has them: matrices of linear layers are transposed, and the weight and bias of a
    /// normalisation are its gamma and beta.
    pub fn pytorch() -> Self {
        Self { pytorch: true, ..Self::default() }
    }

    /// Adds a rule: a regular expression, and what to put in its place (`$1`, `$2` … for its groups). Rules apply
    /// one after the other, each to what the one before it left.
    pub fn rename(mut self, from: &str, to: &str) -> Result<Self, ForeignError> {
        self.renames =
            self.renames.add_pattern(from, to).map_err(|error| ForeignError::KeyMap(error.to_string()))?;
        Ok(self)
    }
}

/// The tensors of a file.
pub struct ForeignWeights {
    digest: ModelDigest,
    tensors: Vec<StoredTensor>,
}

impl ForeignWeights {
    /// Finds the tensors in the bytes of a file.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ForeignError> {
        let digest = digest_of(&bytes);
        let mut tensors = if checkpoint::is_one(&bytes) {
            checkpoint::tensors(bytes)?
        } else if bytes.get(8) == Some(&b'{') {
            let mut store = SafetensorsStore::from_bytes(Some(bytes));
            let found = store.get_all_tensors().map_err(|error| ForeignError::Damaged(error.to_string()))?;
            found.values().cloned().collect()
        } else {
            return Err(ForeignError::Unknown);
        };
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { digest, tensors })
    }

    /// The name of the file: the first bytes of its SHA-256.
    pub fn digest(&self) -> ModelDigest {
        self.digest
    }

    /// Names and shapes of all tensors, in the order of their names.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.iter().copied().collect()))
    }

    /// Shape and values of one tensor.
    pub fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ForeignError> {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        let tensor = found.ok_or_else(|| ForeignError::NoTensor(name.into()))?;
        let data =
            bridge::to_data(tensor).map_err(|error| ForeignError::Damaged(format!("{name}: {error}")))?;
        Ok((tensor.shape.iter().copied().collect(), data.iter::<f32>().collect()))
    }

    /// The module with the numbers of the file, as 32-bit floats. Every tensor of the module must be in the file, and of
    /// the file's tensors only such as hold whole numbers (counters) may be left over.
    pub fn load_into<M: ModuleSnapshot>(&self, map: &KeyMap, mut module: M) -> Result<M, ForeignError> {
        let weights = self.tensors.iter().filter(|tensor| tensor.dtype.is_float()).cloned().collect();
        let (tensors, _) = map.renames.remap(weights);
        let mut names = BTreeSet::new();
        if let Some(twice) = tensors.iter().find(|tensor| !names.insert(tensor.name.clone())) {
            return Err(ForeignError::KeyMap(format!("two tensors become {:?}", twice.name)));
        }
        let cast = FloatCastAdapter::to(DType::F32);
        let adapter: Box<dyn ModuleAdapter> =
            if map.pytorch { Box::new(cast.chain(PyTorchToBurnAdapter)) } else { Box::new(cast) };
        let result = module.apply(tensors, None, Some(adapter), true);
        let mut mismatch = Mismatch {
            missing: result.missing.into_iter().map(|(path, _)| path).collect(),
            superfluous: result.unused,
            misshapen: Vec::new(),
        };
        for error in result.errors {
            mismatch.misshapen.push(match error {
                ApplyError::ShapeMismatch { path, expected, found } => {
                    let list = |shape: &[usize]| format!("{shape:?}");
                    let all = |shape: burn::tensor::Shape| list(&shape.iter().copied().collect::<Vec<_>>());
                    format!("{path} ({} instead of {})", all(found), all(expected))
                }
                ApplyError::DTypeMismatch { path, found, .. } => format!("{path} (of type {found:?})"),
                ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
                    return Err(ForeignError::Damaged(format!("{path}: {message}")));
                }
            });
        }
        if mismatch == Mismatch::default() { Ok(module) } else { Err(ForeignError::Mismatch(mismatch)) }
    }
}

#[cfg(test)]
mod tests;
