//! Configuration in layers: defaults < TOML file < environment < flags.
//!
//! Every layer becomes a list of keys with values and the place that each came from; each value is checked
//! against the table of [`KEYS`] there and then, so that a message can name file and line, variable or flag.
//! What remains is one TOML table, read once into [`Config`].

mod keys;
mod sections;
mod value;

use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::{Table, Value};

pub use keys::{KEYS, Key};
pub use sections::{
    Ae, Air, Allocation, Config, Control, Log, ModelDevice, Pacing, Radio, Receiver, Sct, Segmentation,
    Soapy, Transform, Transmitter,
};
pub use value::Rule;

/// Beginning of the names of environment variables.
pub const VARIABLE_PREFIX: &str = "SEMCAST_";
/// Most bytes of a configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What can be wrong with the configuration. `place` is a file and line, a variable or a flag.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        message: String,
    },
    /// There is no such key.
    #[error("{place}: unknown key {key:?}; did you mean {nearest:?}?")]
    UnknownKey {
        /// Where it was found.
        place: String,
        /// The key.
        key: String,
        /// The most similar one that exists.
        nearest: String,
    },
    /// The value is not allowed.
    #[error("{place}: {key} = {value} is not allowed: expected {allowed}")]
    Value {
        /// Where it was found.
        place: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// The topmost layer: what the flags of the command line say.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<(&'static str, String, Value)>);

impl Overrides {
    /// No overrides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key (such as `air.snr_db`) if the flag (such as `--snr`, for messages) was given.
    pub fn set<V: Into<Value>>(&mut self, flag: &str, key: &'static str, value: Option<V>) -> &mut Self {
        if let Some(value) = value {
            self.0.push((key, flag.to_string(), value.into()));
        }
        self
    }

    /// The flags that were given, as they were named here.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, flag, _)| flag.as_str())
    }

    /// Sets a list if the flag was given at least once.
    pub fn set_list(&mut self, flag: &str, key: &'static str, values: &[String]) -> &mut Self {
        let list = || Value::Array(values.iter().cloned().map(Value::String).collect());
        self.set(flag, key, (!values.is_empty()).then(list))
    }
}

impl Config {
    /// Puts the layers together: the defaults, the file if one is named, those of the variables `environment`
    /// (pass `std::env::vars()`) that begin with [`VARIABLE_PREFIX`], and the flags.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut table = Self::default().to_table();
        if let Some(path) = file {
            merge_file(&mut table, path)?;
        }
        for (name, text) in environment {
            if name.starts_with(VARIABLE_PREFIX) && name != crate::telemetry::LOG_VARIABLE {
                merge_variable(&mut table, &name, &text)?;
            }
        }
        for (key, flag, value) in &flags.0 {
            merge(&mut table, &format!("flag {flag}"), key, value.clone())?;
        }
        table.try_into().map_err(|error: toml::de::Error| ConfigError::Value {
            place: "configuration".into(),
            key: "all layers".into(),
            value: "together".into(),
            allowed: error.message().into(),
        })
    }

    fn to_table(&self) -> Table {
        // Plain structures of numbers and texts; the test below shows that nothing is left out.
        Table::try_from(self).unwrap_or_default()
    }

    /// The configuration as a commented TOML file: what `--print-config` prints. Reads back as it is.
    pub fn to_commented_toml(&self) -> String {
        let table = self.to_table();
        let mut text = String::from("# semcast configuration: file < environment (SEMCAST_…) < flags\n");
        let mut current = "";
        for key in KEYS {
            let (section, name) = key.parts();
            if section != current {
                text += &format!("\n[{section}]\n");
                current = section;
            }
            text += &format!("# {}; {} ({})\n", key.meaning, key.rule.allowed(), key.variable());
            text += &match table.get(section).and_then(|section| section.get(name)) {
                Some(value) => format!("{name} = {value}\n"),
                None => format!("# {name} is not set\n"),
            };
        }
        text
    }
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn unknown(place: &str, name: &str) -> ConfigError {
    let nearest = keys::nearest(name, KEYS.iter().map(|key| key.name)).unwrap_or_default();
    ConfigError::UnknownKey {
        place: place.into(),
        key: name.chars().take(100).collect(),
        nearest: nearest.into(),
    }
}

/// Checks a value and puts it into the table.
fn merge(table: &mut Table, place: &str, name: &str, value: Value) -> Result<(), ConfigError> {
    let key = find(name).ok_or_else(|| unknown(place, name))?;
    let shown: String = value.to_string().chars().take(100).collect();
    let value = key.rule.check(value).ok_or_else(|| not_allowed(place, key, shown))?;
    let (section, entry) = key.parts();
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(entry.into(), value);
    }
    Ok(())
}

fn not_allowed(place: &str, key: &Key, value: String) -> ConfigError {
    ConfigError::Value { place: place.into(), key: key.name.into(), value, allowed: key.rule.allowed() }
}

fn merge_variable(table: &mut Table, variable: &str, text: &str) -> Result<(), ConfigError> {
    let place = "environment";
    let Some(key) = KEYS.iter().find(|key| key.variable() == variable) else {
        let names: Vec<String> = KEYS.iter().map(Key::variable).collect();
        let nearest = keys::nearest(variable, names.iter().map(String::as_str)).unwrap_or_default();
        return Err(ConfigError::UnknownKey {
            place: place.into(),
            key: variable.chars().take(100).collect(),
            nearest: nearest.into(),
        });
    };
    let place = format!("environment variable {variable}");
    let shown = || format!("{:?}", text.chars().take(100).collect::<String>());
    let value = key.rule.read(text).ok_or_else(|| not_allowed(&place, key, shown()))?;
    merge(table, &place, key.name, value)
}

fn merge_file(table: &mut Table, path: &Path) -> Result<(), ConfigError> {
    let unreadable = |error| ConfigError::File { path: path.into(), error };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_FILE_BYTES + 1), &mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let reason = format!("longer than {MAX_FILE_BYTES} bytes");
        return Err(unreadable(std::io::Error::other(reason)));
    }
    let syntax =
        |error: toml::de::Error| ConfigError::Syntax { path: path.into(), message: error.to_string() };
    // Parsed twice: one form knows where each key stands, the other holds plain values.
    let spans = toml::de::DeTable::parse(&text).map_err(syntax)?.into_inner();
    let values: Table = text.parse().map_err(syntax)?;
    for (section, entries) in &spans {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let place = |at: usize| format!("{}, line {}", path.display(), line(at));
        let section_name = section.get_ref().as_ref();
        let Some(entries) = entries.get_ref().as_table() else {
            // A key outside of any section: the nearest is one of the same name in a section, if there is.
            let within = KEYS.iter().find(|key| key.parts().1 == section_name);
            return Err(match within {
                Some(key) => ConfigError::UnknownKey {
                    place: place(section.span().start),
                    key: section_name.into(),
                    nearest: key.name.into(),
                },
                None => unknown(&place(section.span().start), section_name),
            });
        };
        if !KEYS.iter().any(|key| key.parts().0 == section_name) {
            let sections = KEYS.iter().map(|key| key.parts().0);
            return Err(ConfigError::UnknownKey {
                place: place(section.span().start),
                key: section_name.chars().take(100).collect(),
                nearest: keys::nearest(section_name, sections).unwrap_or_default().into(),
            });
        }
        for name in entries.keys() {
            let full_name = format!("{section_name}.{}", name.get_ref());
            let value = values.get(section_name).and_then(|table| table.get(name.get_ref().as_ref()));
            if let Some(value) = value {
                merge(table, &place(name.span().start), &full_name, value.clone())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
