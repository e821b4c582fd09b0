//! Checkpoints: all that a run needs to go on, in a folder that is there as a whole or not at all.

use std::path::{Path, PathBuf};

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::run::{Options, Run, optimizer};
use super::task::Task;
use super::{TrainingError, parameters};

const FOLDER: &str = "checkpoint";
const FRESH: &str = "checkpoint.new";
const OLD: &str = "checkpoint.old";

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    seed: u64,
}

/// Writes the checkpoint, and the weight file of the averaged network beside it.
pub(super) fn save<T: Task>(
    task: &T,
    options: &Options,
    run: &Run<T::Network>,
    averaged: &T::Network,
) -> Result<(), TrainingError> {
    let [folder, fresh, old] = [FOLDER, FRESH, OLD].map(|name| options.out.join(name));
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh).map_err(TrainingError::io(&fresh))?;
    run.network.clone().save_file(fresh.join("network.bpk")).map_err(TrainingError::checkpoint(&fresh))?;
    run.optimizer.save(fresh.join("optimizer.bpk")).map_err(TrainingError::checkpoint(&fresh))?;
    let bytes: Vec<u8> = run.average.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let put = |path: PathBuf, bytes: &[u8]| std::fs::write(&path, bytes).map_err(TrainingError::io(&path));
    put(fresh.join("average.f32"), &bytes)?;
    let state = serde_json::to_vec(&State { step: run.step, seed: options.seed }).unwrap_or_default();
    put(fresh.join("state.json"), &state)?;
    // Two renames: at every moment one whole checkpoint has a name.
    let _ = std::fs::remove_dir_all(&old);
    if folder.exists() {
        std::fs::rename(&folder, &old).map_err(TrainingError::io(&folder))?;
    }
    std::fs::rename(&fresh, &folder).map_err(TrainingError::io(&folder))?;
    let weights = task.to_bytes(averaged).map_err(TrainingError::checkpoint(&folder))?;
    let name = options.out.join(format!("{}.safetensors", task.name()));
    let fresh = options.out.join(format!("{}.safetensors.new", task.name()));
    put(fresh.clone(), &weights)?;
    std::fs::rename(fresh, &name).map_err(TrainingError::io(&name))
}

/// The run of the last whole checkpoint in the run's folder, if there is one; its network is of the shape of `like`.
pub(super) fn load<N: Module>(options: &Options, like: &N) -> Result<Option<Run<N>>, TrainingError> {
    // The old one has the name if the run was killed between the two renames.
    let whole = |name: &&str| options.out.join(name).join("state.json").exists();
    let Some(folder) = [FOLDER, OLD].iter().find(|name| whole(name)).map(|name| options.out.join(name))
    else {
        return Ok(None);
    };
    let read = |path: &Path| std::fs::read(path).map_err(TrainingError::io(path));
    let state: State = serde_json::from_slice(&read(&folder.join("state.json"))?)
        .map_err(TrainingError::checkpoint(&folder))?;
    if state.seed != options.seed {
        return Err(TrainingError::Setting(format!(
            "the checkpoint in {} is of seed {1}: go on with --seed {1}, or start elsewhere",
            folder.display(),
            state.seed
        )));
    }
    let network =
        like.clone().try_load_file(folder.join("network.bpk")).map_err(TrainingError::checkpoint(&folder))?;
    let optimizer =
        optimizer(options).load(folder.join("optimizer.bpk")).map_err(TrainingError::checkpoint(&folder))?;
    let bytes = read(&folder.join("average.f32"))?;
    let mut values =
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    let average: parameters::Parameters = parameters::read(&network)
        .iter()
        .map(|tensor| values.by_ref().take(tensor.len()).collect())
        .collect();
    if average.iter().map(Vec::len).sum::<usize>() * 4 != bytes.len() {
        return Err(TrainingError::Checkpoint {
            path: folder.join("average.f32"),
            error: "it is of another network".into(),
        });
    }
    Ok(Some(Run { network, optimizer, average, step: state.step }))
}
