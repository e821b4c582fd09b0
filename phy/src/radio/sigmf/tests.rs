//! Recordings on disk: what was written is read, by whichever name, and what is wrong is named.

use std::path::Path;

use num_complex::Complex32;

use super::*;
use crate::radio::RadioSource;

const RATE_HZ: f64 = 1e6;

fn samples(count: usize) -> Vec<Complex32> {
    (0..count).map(|n| Complex32::new((n as f32 * 0.37).sin() * 1.9, (n as f32 * 0.11).cos() * 0.3)).collect()
}

fn write(path: &Path, datatype: Datatype, pieces: &[(u64, &[Complex32])]) {
    let mut writer = Writer::create(path, datatype, RATE_HZ, Some(2.4e9), "a test").expect("files");
    for (index, samples) in pieces {
        writer.push(*index, samples).expect("written");
    }
    writer.finish().expect("complete");
}

fn read_all(path: &Path) -> (Vec<Complex32>, Vec<(u64, usize, u64)>) {
    let mut reader = Reader::open(path).expect("a recording");
    let (mut out, mut stretches) = (Vec::new(), Vec::new());
    while !reader.is_at_end() {
        let stretch = reader.read(1000, &mut out).expect("samples");
        stretches.push((stretch.first_sample, stretch.samples, stretch.lost_before));
    }
    assert_eq!(reader.is_intact(), Some(true));
    (out, stretches)
}

#[test]
fn floats_come_back_exactly_and_integers_within_half_a_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = samples(5000);
    for (datatype, levels) in
        [(Datatype::Cf32, None), (Datatype::Ci16, Some(32768.0)), (Datatype::Ci8, Some(128.0))]
    {
        let path = folder.path().join(format!("deep/recording.of.{datatype}"));
        write(&path, datatype, &[(0, &sent)]);
        let (read, _) = read_all(&path);
        assert_eq!(read.len(), sent.len());
        match levels {
            None => assert_eq!(read, sent),
            Some(levels) => {
                for (a, b) in read.iter().zip(&sent) {
                    let error = a * INTEGER_SCALE - b;
                    let half_a_step = INTEGER_SCALE / levels * 0.501;
                    assert!(error.re.abs() <= half_a_step && error.im.abs() <= half_a_step, "{a} {b}");
                }
            }
        }
        let length = std::fs::metadata(files(&path).1).expect("data").len();
        assert_eq!(length, (sent.len() * datatype.bytes()) as u64);
    }
}

#[test]
fn a_gap_is_told_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = samples(3500);
    let path = folder.path().join("gap");
    write(&path, Datatype::Cf32, &[(500, &sent[..1500]), (2000, &sent[1500..2000]), (9000, &sent[2000..])]);
    let (read, stretches) = read_all(&path);
    assert_eq!(read, sent);
    assert_eq!(stretches, [(500, 1000, 0), (1500, 1000, 0), (9000, 1000, 6500), (10_000, 500, 0)]);
}

#[test]
fn either_file_and_their_common_name_mean_the_same() {
    for name in ["a.b", "a.b.sigmf-meta", "a.b.sigmf-data", "a.b.sigmf"] {
        let (metadata, data) = files(&Path::new("folder").join(name));
        assert_eq!(metadata, Path::new("folder/a.b.sigmf-meta"), "{name}");
        assert_eq!(data, Path::new("folder/a.b.sigmf-data"), "{name}");
    }
}

#[test]
fn a_foreign_recording_of_bytes_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foreign");
    let (metadata, data) = files(&path);
    // What other programs add does not matter; here without hash and captures.
    let text = r#"{"global": {"core:datatype": "cu8", "core:sample_rate": 1000000, "core:version": "1.0.0",
        "core:hw": "RTL-SDR", "antenna:gain": 3}, "captures": [], "annotations": [{"x:y": []}]}"#;
    std::fs::write(metadata, text).expect("metadata");
    std::fs::write(data, [255, 0, 127, 128, 7]).expect("data");
    let mut reader = Reader::open(&path).expect("a recording");
    let mut out = Vec::new();
    reader.read(10, &mut out).expect("samples");
    let step = 0.5 / 128.0;
    assert_eq!(out, [Complex32::new(127.5 / 128.0, -127.5 / 128.0), Complex32::new(-step, step)]);
    assert!(reader.is_at_end() && reader.is_intact().is_none());
}

#[test]
fn a_source_refuses_another_rate_and_ends_in_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("short");
    let sent = samples(10_000);
    write(&path, Datatype::Cf32, &[(7, &sent)]);
    let error = SigmfSource::open(&path, 2e6).expect_err("another rate").to_string();
    assert!(
        error.contains("1000000") && error.contains("2000000") && error.contains("sample_rate_hz"),
        "{error}"
    );
    let mut source = SigmfSource::open(&path, RATE_HZ).expect("the same rate");
    let mut out = Vec::new();
    let mut next = 7;
    while !source.has_ended() {
        let received = source.receive(&mut out).expect("samples");
        assert_eq!((received.first_sample, received.lost_before), (next, 0));
        next += received.samples as u64;
    }
    assert_eq!(out[..10_000], sent);
    assert!(out.len() > 20_000 && out[10_000..].iter().all(|x| *x == Complex32::default()));
}

#[test]
fn data_that_was_changed_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed");
    write(&path, Datatype::Ci8, &[(0, &samples(100))]);
    let data = files(&path).1;
    let mut bytes = std::fs::read(&data).expect("data");
    bytes[50] ^= 1;
    std::fs::write(&data, bytes).expect("data");
    let mut reader = Reader::open(&path).expect("a recording");
    reader.read(1000, &mut Vec::new()).expect("samples");
    assert_eq!(reader.is_intact(), Some(false));
}

#[test]
fn a_recorder_keeps_all_that_it_was_given_and_its_notes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recorder");
    let config = RecordConfig {
        path: path.clone(),
        datatype: Datatype::Cf32,
        sample_rate_hz: RATE_HZ,
        frequency_hz: None,
        description: String::new(),
        wait: true,
    };
    let sent = samples(100_000);
    let recorder = Recorder::start(&config).expect("files");
    recorder.record(0, &sent[..40_000]);
    recorder.annotate(40_000, "burst");
    recorder.record(40_000, &sent[40_000..]);
    drop(recorder);
    let (read, _) = read_all(&path);
    assert!(read == sent, "samples differ");
    let metadata = Reader::open(&path).expect("a recording").metadata().clone();
    let burst = Annotation { sample_start: 0, sample_count: 40_000, label: "burst".into() };
    assert_eq!((metadata.captures.len(), metadata.annotations), (1, vec![burst]));
    let nowhere = RecordConfig { path: "/dev/null/x".into(), ..config };
    let error = Recorder::start(&nowhere).expect_err("no folder").to_string();
    assert!(error.contains("/dev/null"), "{error}");
}
