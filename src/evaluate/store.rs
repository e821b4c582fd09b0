//! The store: results as lines of JSON in a file, each written as soon as it is there.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

use anyhow::Context;

use super::trial::{Record, Trial};

/// Results that are there, and the file that more are added to.
pub struct Store {
    file: File,
    records: HashMap<String, Record>,
}

impl Store {
    /// Opens or makes the file. What a run that was killed left half written at its end is taken off. Lines of another
    /// version stay in the file, and play no part.
    pub fn open(path: &Path, fresh: bool) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use {}", path.display());
        let text = match std::fs::read_to_string(path) {
            Ok(text) if !fresh => text,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(unusable);
            }
            _ => String::new(),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|file| file.set_len(whole as u64).map(|()| file))
            .with_context(unusable)?;
        let records = text[..whole]
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .map(|record: Record| (record.id.clone(), record))
            .collect();
        Ok(Self { file, records })
    }

    /// Whether a trial has been run.
    pub fn has(&self, trial: &Trial) -> bool {
        self.records.contains_key(&trial.id())
    }

    /// Adds a result.
    pub fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(record)?;
        // As the next run will read it: the last digits of a number may become others.
        let record: Record = serde_json::from_str(&line)?;
        line.push('\n');
        // In one call, so that a line is there or is not.
        self.file.write_all(line.as_bytes()).context("cannot add to the results")?;
        self.records.insert(record.id.clone(), record);
        Ok(())
    }

    /// The results of these trials, in their order.
    pub fn of(&self, trials: &[Trial]) -> Vec<&Record> {
        trials.iter().filter_map(|trial| self.records.get(&trial.id())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::summary::tests::record;

    #[test]
    fn results_come_back_and_half_a_line_does_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("results.jsonl");
        let [first, second] =
            [("1.png", 10.0 / 3.0, 30.0), ("2.png", 0.1, 31.5)].map(|(name, snr_db, psnr_db)| {
                let mut record = record(name, snr_db, psnr_db);
                record.trial.lpips_weights = Some("22".into());
                record.outcome.metrics.lpips = Some(0.125);
                Record { id: record.trial.id(), ..record }
            });
        let mut store = Store::open(&path, false).expect("a new file");
        store.add(&first).expect("added");
        store.add(&second).expect("added");
        let text = std::fs::read_to_string(&path).expect("a file");
        std::fs::write(&path, &text[..text.len() - 5]).expect("a file");

        let mut store = Store::open(&path, false).expect("the file");
        assert!(store.has(&first.trial) && !store.has(&second.trial));
        store.add(&second).expect("added");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), text);
        let trials = [second.trial.clone(), first.trial.clone()];
        assert_eq!(
            store.of(&trials).iter().map(|record| &record.id).collect::<Vec<_>>(),
            [&second.id, &first.id]
        );
        assert!(!Store::open(&path, true).expect("the file").has(&first.trial));
        assert_eq!(std::fs::read(&path).expect("a file"), b"");
    }
}
