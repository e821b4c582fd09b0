//! `semcast evaluate`: a race, its files, and that it goes on where it was.

use std::path::{Path, PathBuf};

use semcast_common::content::file;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{program, run, scene};

/// A folder with two small pictures, and room for results.
struct Race {
    folder: TempDir,
    pictures: PathBuf,
}

impl Race {
    /// The pictures' folder has a name.
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pictures = folder.path().join(name);
        std::fs::create_dir(&pictures).expect("a folder");
        for seed in 1..=2 {
            let png = file::encode_png(&scene(128, 96, seed)).expect("a picture file");
            std::fs::write(pictures.join(format!("{seed}.png")), png).expect("a file");
        }
        Self { folder, pictures }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it, and returns what it said on standard error.
    async fn run(&self, out: &str, flags: &[&str]) -> String {
        let mut command = program();
        command.args(["evaluate", "--device", "cpu", "--pictures"]).arg(&self.pictures);
        command.args(flags).arg("--out").arg(self.out(out));
        run(command).await.expect_code(0).errors
    }

    fn text(&self, out: &str, name: &str) -> String {
        text(&self.out(out).join(name))
    }

    /// The results without the times they took, sorted.
    fn results(&self, out: &str) -> Vec<String> {
        let mut lines: Vec<String> = self
            .text(out, "results.jsonl")
            .lines()
            .map(|line| {
                let mut result: Value = serde_json::from_str(line).expect("a result");
                let fields = result.as_object_mut().expect("an object");
                fields.retain(|name, _| !name.ends_with("_ms"));
                result.to_string()
            })
            .collect();
        lines.sort();
        lines
    }

    /// A row of the only table in the summary.
    fn row(&self, out: &str, system: &str, snr_db: f64) -> Value {
        let summary: Value = serde_json::from_str(&self.text(out, "summary.json")).expect("JSON");
        let rows = summary["groups"][0]["rows"].as_array().expect("rows");
        let wanted = |row: &&Value| row["system"] == system && row["snr_db"].as_f64() == Some(snr_db);
        rows.iter().find(wanted).unwrap_or_else(|| panic!("{system} at {snr_db} dB in {summary}")).clone()
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn number(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}"))
}

fn psnr_db(row: &Value) -> f64 {
    number(&row["metrics"]["psnr_db"], "mean")
}

#[tokio::test]
async fn a_race_writes_its_files_and_is_run_once_on_any_number_of_threads() {
    let race = Race::new("scenes");
    let flags = ["--snr", "4,14", "--cbr", "1/8", "--threads"];
    let said = race.run("one", &[&flags[..], &["1"]].concat()).await;
    assert!(said.contains("8 trials, 0 of them known"), "{said}");
    for system in ["classical", "ae"] {
        let (low, high) = (race.row("one", system, 4.0), race.row("one", system, 14.0));
        assert!(psnr_db(&high) > psnr_db(&low) + 1.0, "{low} {high}");
        for row in [&low, &high] {
            assert_eq!(
                (number(row, "trials"), number(row, "pictures"), number(row, "lost")),
                (2.0, 2.0, 0.0)
            );
            let (net, gross) = (number(row, "cbr_net"), number(row, "cbr_gross"));
            assert!(0.06 < net && net <= 0.125 && net < gross, "{row}");
            assert!(number(&row["metrics"]["psnr_db"], "confidence_95") > 0.0, "{row}");
        }
    }
    let csv = race.text("one", "summary.csv");
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(race.text("one", "summary.md").contains("## awgn, CBR 1/8\n"));
    let curve = race.text("one", "awgn-cbr-1-8-psnr_db.svg");
    for part in ["PSNR, dB", "SNR, dB", ">classical<", ">ae<", "2 pictures of scenes"] {
        assert!(curve.contains(part), "{part} is not in {curve}");
    }

    // Again: nothing is computed, and every file is what it was.
    let files = ["results.jsonl", "summary.json", "summary.csv", "summary.md", "awgn-cbr-1-8-ms_ssim_db.svg"];
    let before = files.map(|name| race.text("one", name));
    let said = race.run("one", &[&flags[..], &["1"]].concat()).await;
    assert!(said.contains("8 trials, 8 of them known"), "{said}");
    for (name, before) in files.iter().zip(&before) {
        assert!(race.text("one", name) == *before, "{name} is not what it was");
    }

    // A run that was killed in the middle of a line goes on, on two threads.
    let results = &before[0];
    let third = results.match_indices('\n').nth(2).expect("three lines").0;
    std::fs::create_dir(race.out("two")).expect("a folder");
    std::fs::write(race.out("two").join("results.jsonl"), &results[..third + 40]).expect("a file");
    let said = race.run("two", &[&flags[..], &["2"]].concat()).await;
    assert!(said.contains("8 trials, 3 of them known"), "{said}");
    assert_eq!(race.results("two"), race.results("one"));
}

/// At an SNR that the transmitter does not know of, bytes fall off a cliff, and symbols do not.
#[tokio::test]
async fn what_is_lost_counts_as_grey_and_feedback_brings_it() {
    let race = Race::new("scenes");
    let flags = ["--told-snr", "12", "--snr", "9", "--cbr", "1/8", "--limit", "1"];
    race.run("one-way", &flags).await;
    let row = race.row("one-way", "classical", 9.0);
    assert_eq!(number(&row, "lost"), 1.0);
    assert!(psnr_db(&row) < 18.0, "{row}");
    let ae = race.row("one-way", "ae", 9.0);
    assert_eq!(number(&ae, "lost"), 0.0);
    assert!(psnr_db(&ae) > 20.0, "{ae}");

    race.run("feedback", &[&flags[..], &["--feedback", "ideal", "--systems", "classical"]].concat()).await;
    let with_feedback = race.row("feedback", "classical", 9.0);
    assert_eq!(number(&with_feedback, "lost"), 0.0);
    // What was sent again is counted.
    assert!(number(&with_feedback, "cbr_net") > 1.5 * number(&row, "cbr_net"), "{with_feedback}");
}

/// Without being told, the transmitter adapts to what the receiver measures in a sounding frame.
#[tokio::test]
async fn ideal_feedback_adapts_to_the_channel() {
    let race = Race::new("scenes");
    let flags = ["--snr", "2,20", "--channel", "multipath", "--systems", "classical", "--limit", "1"];
    race.run("out", &[&flags[..], &["--feedback", "ideal", "--cbr", "1/8"]].concat()).await;
    let steps: Vec<String> = race
        .text("out", "results.jsonl")
        .lines()
        .map(|line| {
            let result: Value = serde_json::from_str(line).expect("a result");
            result["mcs"].as_str().expect("a step").to_owned()
        })
        .collect();
    assert!(steps[0].starts_with("QPSK") && !steps[1].starts_with("QPSK"), "{steps:?}");
    assert_eq!(number(&race.row("out", "classical", 20.0), "lost"), 0.0);
}

#[tokio::test]
async fn ideal_results_are_marked_and_stand_beside_published_ones() {
    let race = Race::new("kodak");
    let rivals = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rivals.json");
    let flags = ["--ideal", "--channel", "awgn,rayleigh", "--snr", "10", "--rivals", rivals];
    race.run("out", &flags).await;
    let table = race.text("out", "summary.md");
    for part in
        ["# Race, ideal", "## awgn, CBR 1/16, ideal", "## rayleigh, CBR 1/16, ideal", "Not what a radio"]
    {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    assert!(race.row("out", "ae", 10.0)["cbr_gross"].is_null());
    for line in race.text("out", "results.jsonl").lines() {
        assert!(line.contains("\"ideal\":true"), "{line}");
    }
    let curve = race.text("out", "ideal-awgn-cbr-1-16-psnr_db.svg");
    assert!(curve.contains("WITT") && curve.contains("published, ideal, read off"), "{curve}");
    let faded = race.text("out", "ideal-rayleigh-cbr-1-16-psnr_db.svg");
    assert!(!faded.contains("WITT") && faded.contains("ideal"), "{faded}");
}

#[tokio::test]
async fn without_pictures_a_test_card_is_drawn() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = program();
    command
        .args(["evaluate", "--device", "cpu", "--systems", "ae", "--snr", "10", "--out"])
        .arg(folder.path());
    let finished = run(command).await.expect_code(0);
    assert!(
        finished.output.contains("test card") && finished.output.contains("| `ae` | 10 |"),
        "{}",
        finished.output
    );
}

#[tokio::test]
async fn flags_that_make_no_sense_are_refused_with_the_range() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rivals = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rivals.json");
    for (flags, reason) in [
        (vec!["--snr", "10,1000"], "-30 to 60"),
        (vec!["--told-snr", "-31"], "-30 to 60"),
        (vec!["--cbr", "1/0"], "0.0001 to 16"),
        (vec!["--channel", "vacuum"], "tdl-a to tdl-e"),
        (vec!["--channel", "tdl-a:9999"], "0 to 4000"),
        (vec!["--doppler", "-1"], "doppler"),
        (vec!["--systems", "telepathy"], "classical, ae"),
        (vec!["--seeds", "0"], "1..=1000000"),
        (vec!["--threads", "0"], "1..=256"),
        (vec!["--max-resends", "21"], "0..=20"),
        (vec!["--budget-ms", "100"], "--feedback ideal"),
        (vec!["--feedback", "ideal", "--budget-ms", "0"], "1..=600000"),
        (vec!["--config", "no-such-file.toml"], "no-such-file.toml"),
        (vec!["--rivals", rivals], "--ideal"),
        (vec!["--ideal", "--rivals", "no-such-file.json"], "no-such-file.json"),
    ] {
        let mut command = program();
        command.arg("evaluate").args(&flags).arg("--out").arg(folder.path().join("never"));
        run(command).await.expect_code(2).expect_errors(&[reason]);
        assert!(!folder.path().join("never").exists(), "{flags:?} left files");
    }
    let mut command = program();
    command.args(["evaluate", "--pictures"]).arg(folder.path()).arg("--out").arg(folder.path().join("never"));
    run(command).await.expect_code(3).expect_errors(&["png, jpg"]);
}

/// Regions over a frequency-selective channel, with their resource blocks given away otherwise: other results, under other names.
#[tokio::test]
async fn ablations_of_the_allocation_are_told_apart() {
    let race = Race::new("regions");
    let flags = ["--systems", "sct-modular,sct-integrated", "--snr", "8", "--channel", "multipath"];
    let flags = [&flags[..], &["--feedback", "ideal", "--cbr", "1/8", "--seeds", "1"]].concat();
    race.run("out", &flags).await;
    race.run("out", &[&flags[..], &["--allocation", "inverse"]].concat()).await;
    assert_eq!(race.results("out").len(), 8);
    assert!(race.text("out", "summary.md").contains("resource blocks: inverse"));
    for system in ["sct-modular", "sct-integrated"] {
        let row = race.row("out", system, 8.0);
        assert!(psnr_db(&row) > 17.0, "{row}");
    }
}

/// While there is airtime, the most important of what arrived badly goes again; it never takes more than there is.
#[tokio::test]
async fn a_latency_budget_buys_quality_with_airtime() {
    let race = Race::new("regions");
    let flags = ["--systems", "sct-integrated", "--snr", "2", "--cbr", "1/8", "--limit", "1"];
    let mut spent = Vec::new();
    for budget_ms in ["1", "12"] {
        let more = ["--feedback", "ideal", "--budget-ms", budget_ms];
        race.run(budget_ms, &[&flags[..], &more].concat()).await;
        let row = race.row(budget_ms, "sct-integrated", 2.0);
        spent.push((psnr_db(&row), number(&row, "cbr_net")));
        assert!(race.text(budget_ms, "summary.md").contains(&format!("{budget_ms} ms of airtime")));
    }
    assert!(spent[1].0 > spent[0].0 + 0.5 && spent[1].1 > 1.5 * spent[0].1, "{spent:?}");
}

/// Impairments of a configuration file are on the air, and their results have names of their own.
#[tokio::test]
async fn impairments_come_from_a_configuration_file() {
    let race = Race::new("scenes");
    let config = race.out("bad-radio.toml");
    let text = "[air]\namplifier = \"rapp\"\nbackoff_db = 0.0\ncfo_hz = 100.0\nphase_noise_hz = 300.0\n";
    std::fs::write(&config, text).expect("a file");
    let flags = ["--systems", "ae", "--snr", "25", "--limit", "1"];
    race.run("out", &flags).await;
    let clean = psnr_db(&race.row("out", "ae", 25.0));
    race.run("out", &[&flags[..], &["--config", config.to_str().expect("a path")]].concat()).await;
    let summary = race.text("out", "summary.md");
    assert!(summary.contains("rapp") && summary.contains("100 Hz"), "{summary}");
    assert_eq!(race.results("out").len(), 2);
    let impaired = psnr_db(&race.row("out", "ae", 25.0));
    assert!(impaired < clean - 0.3, "{impaired} dB with impairments, {clean} dB without");
}
