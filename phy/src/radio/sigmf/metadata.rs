//! The metadata of a recording: JSON ↔ [`Metadata`].
//!
//! Read leniently, as foreign programs write much that means nothing here; refused is what would make the samples
//! something else than they seem: more channels, a header within the data, captures that go backwards.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::Datatype;

/// Longest metadata that is read.
pub const MAX_METADATA_BYTES: u64 = 16 << 20;
/// Most captures and most annotations that are looked at.
const MAX_SEGMENTS: usize = 100_000;
/// Version of the specification that is written.
const VERSION: &str = "1.2.0";

/// A stretch without gaps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capture {
    /// First sample of it in the file.
    pub sample_start: u64,
    /// Its index in the stream that was recorded: what is more than the file has was missed.
    pub global_index: Option<u64>,
    /// Centre frequency in Hz.
    pub frequency_hz: Option<f64>,
    /// When it began, in ISO 8601.
    pub datetime: Option<String>,
}

/// Something about some samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annotation {
    /// First sample.
    pub sample_start: u64,
    /// Samples.
    pub sample_count: u64,
    /// A short name.
    pub label: String,
}

/// What is known of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// How samples are written.
    pub datatype: Datatype,
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// For people.
    pub description: Option<String>,
    /// SHA-512 of the data in hexadecimal digits.
    pub sha512: Option<String>,
    /// In order; without any the file is one stretch.
    pub captures: Vec<Capture>,
    /// In order.
    pub annotations: Vec<Annotation>,
}

impl Metadata {
    /// Reads JSON.
    ///
    /// # Errors
    /// What is wrong or cannot be read, for people.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_METADATA_BYTES {
            return Err(format!("longer than {MAX_METADATA_BYTES} bytes"));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("not SigMF: {error}"))?;
        let global = value.get("global").and_then(Value::as_object).ok_or("not SigMF: no \"global\"")?;
        let datatype = text(global, "core:datatype").ok_or("no core:datatype")?.parse()?;
        let rate = global.get("core:sample_rate").and_then(Value::as_f64).ok_or("no core:sample_rate")?;
        if !(rate > 0.0 && rate <= 1e12) {
            return Err(format!("core:sample_rate is {rate}, allowed is above 0 to 1e12"));
        }
        let channels = global.get("core:num_channels").map_or(Some(1), Value::as_u64);
        if channels != Some(1) {
            return Err("core:num_channels must be 1: more than one channel cannot be read".into());
        }
        for (name, means) in [
            ("core:metadata_only", "there are no samples"),
            ("core:trailing_bytes", "bytes follow the samples"),
        ] {
            let set = global.get(name).is_some_and(|value| *value != json!(0) && *value != json!(false));
            if set {
                return Err(format!("{name}: {means}, which cannot be read"));
            }
        }
        let captures: Vec<Capture> = segments(&value, "captures")?.map(capture).collect::<Result<_, _>>()?;
        if captures.windows(2).any(|pair| pair[0].sample_start > pair[1].sample_start) {
            return Err("captures are not in the order of core:sample_start".into());
        }
        let annotations = segments(&value, "annotations")?.map(annotation).collect();
        Ok(Self {
            datatype,
            sample_rate_hz: rate,
            description: text(global, "core:description").map(str::to_owned),
            sha512: text(global, "core:sha512").map(str::to_ascii_lowercase),
            captures,
            annotations,
        })
    }

    /// Writes JSON.
    pub fn to_json(&self) -> String {
        let mut global = json!({
            "core:datatype": self.datatype.to_string(),
            "core:sample_rate": self.sample_rate_hz,
            "core:version": VERSION,
            "core:num_channels": 1,
            "core:recorder": concat!("semcast ", env!("CARGO_PKG_VERSION")),
        });
        for (name, value) in [("core:description", &self.description), ("core:sha512", &self.sha512)] {
            if let Some(value) = value {
                global[name] = value.as_str().into();
            }
        }
        let captures: Vec<Value> = self.captures.iter().map(capture_json).collect();
        let annotations: Vec<Value> = self
            .annotations
            .iter()
            .map(|annotation| {
                json!({
                    "core:sample_start": annotation.sample_start,
                    "core:sample_count": annotation.sample_count,
                    "core:label": annotation.label,
                })
            })
            .collect();
        let whole = json!({ "global": global, "captures": captures, "annotations": annotations });
        // Numbers, texts and lists cannot fail to be written.
        serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn segments<'a>(value: &'a Value, name: &str) -> Result<impl Iterator<Item = &'a Value>, String> {
    let list = value.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if list.len() > MAX_SEGMENTS {
        return Err(format!("{} {name}, allowed are up to {MAX_SEGMENTS}", list.len()));
    }
    Ok(list.iter())
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64).filter(|&index| index <= 1 << 62)
}

fn capture(value: &Value) -> Result<Capture, String> {
    if number(value, "core:header_bytes").unwrap_or(0) != 0 {
        return Err("core:header_bytes: a header within the data cannot be read".into());
    }
    Ok(Capture {
        sample_start: number(value, "core:sample_start").ok_or("a capture without core:sample_start")?,
        global_index: number(value, "core:global_index"),
        frequency_hz: value.get("core:frequency").and_then(Value::as_f64),
        datetime: value.get("core:datetime").and_then(Value::as_str).map(str::to_owned),
    })
}

fn capture_json(capture: &Capture) -> Value {
    let mut value = json!({ "core:sample_start": capture.sample_start });
    if let Some(index) = capture.global_index {
        value["core:global_index"] = index.into();
    }
    if let Some(frequency_hz) = capture.frequency_hz {
        value["core:frequency"] = frequency_hz.into();
    }
    if let Some(datetime) = &capture.datetime {
        value["core:datetime"] = datetime.as_str().into();
    }
    value
}

fn annotation(value: &Value) -> Annotation {
    Annotation {
        sample_start: number(value, "core:sample_start").unwrap_or(0),
        sample_count: number(value, "core:sample_count").unwrap_or(0),
        label: value.get("core:label").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }
}

/// A time as ISO 8601 in UTC with milliseconds, as SigMF wants it.
pub(super) fn iso_8601(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 1 March of the year 0 in eras of 400 years: Hinnant, "chrono-compatible low-level date algorithms", 2013.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) =
        if month < 10 { (month + 3, year + 400 * era) } else { (month - 9, year + 400 * era + 1) };
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (second, milliseconds) = (second % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_written_is_read() {
        let capture = |sample_start, global_index| Capture {
            sample_start,
            global_index: Some(global_index),
            frequency_hz: Some(2.45e9),
            datetime: Some("2026-01-02T03:04:05.678Z".into()),
        };
        let metadata = Metadata {
            datatype: Datatype::Ci16,
            sample_rate_hz: 7.68e6,
            description: Some("what \"went\" in".into()),
            sha512: Some("00ff".into()),
            captures: vec![capture(0, 0), capture(1000, 1960)],
            annotations: vec![Annotation { sample_start: 5, sample_count: 7, label: "burst".into() }],
        };
        assert_eq!(Metadata::parse(metadata.to_json().as_bytes()), Ok(metadata));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, part) in [
            ("[", "not SigMF"),
            ("{}", "global"),
            (r#"{"global": {"core:sample_rate": 1}}"#, "core:datatype"),
            (r#"{"global": {"core:datatype": "rf32_le", "core:sample_rate": 1}}"#, "cf32_le, ci16_le, ci8"),
            (r#"{"global": {"core:datatype": "ci8"}}"#, "core:sample_rate"),
            (r#"{"global": {"core:datatype": "ci8", "core:sample_rate": -1}}"#, "above 0"),
            (
                r#"{"global": {"core:datatype": "ci8", "core:sample_rate": 1, "core:num_channels": 2}}"#,
                "channel",
            ),
            (
                r#"{"global": {"core:datatype": "ci8", "core:sample_rate": 1},
                    "captures": [{"core:sample_start": 0, "core:header_bytes": 4}]}"#,
                "header",
            ),
            (
                r#"{"global": {"core:datatype": "ci8", "core:sample_rate": 1},
                    "captures": [{"core:sample_start": 9}, {"core:sample_start": 3}]}"#,
                "order",
            ),
        ] {
            let error = Metadata::parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_written_as_people_count_days() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_767_225_599, "2025-12-31T23:59:59.250Z"),
            (4_107_542_400, "2100-03-01T00:00:00.250Z"),
        ] {
            assert_eq!(iso_8601(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 250)), expected);
        }
    }
}
