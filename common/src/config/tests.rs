//! Tests of the layers together.

use proptest::prelude::*;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn every_key_is_a_field_and_every_field_has_a_key() {
    let mut full = Config::default();
    full.control.key = Some("a".into());
    full.transmitter.design_snr_db = Some(1.0);
    full.transmitter.peak_limit_db = Some(8.0);
    full.receiver.output_dir = Some("b".into());
    full.sct.segmentation_weights = Some("c".into());
    full.sct.classifier = Some("d".into());
    full.sct.machine_weights = Some("e".into());
    full.air.http = Some("127.0.0.1:1".into());
    full.air.metrics_addr = Some("127.0.0.1:2".into());
    full.transmitter.metrics_addr = Some("127.0.0.1:3".into());
    full.receiver.metrics_addr = Some("127.0.0.1:4".into());
    (full.air.raw_input, full.air.raw_output) = (Some("127.0.0.1:2".into()), Some("127.0.0.1:3".into()));
    (full.air.dac_bits, full.air.adc_bits) = (Some(8), Some(8));
    (full.air.agc_range_db, full.air.dc_offset_db) = (Some(30.0), Some(-20.0));
    (full.transmitter.radio, full.receiver.radio) = (Some("f".into()), Some("g".into()));
    (full.soapy.frequency_hz, full.soapy.bandwidth_hz) = (Some(433e6), Some(2e6));
    (full.soapy.transmit_gain, full.soapy.receive_gain) = (Some("20".into()), Some("auto".into()));
    (full.soapy.transmit_antenna, full.soapy.receive_antenna) = (Some("h".into()), Some("i".into()));
    (full.soapy.format, full.soapy.pad_buffers) = (Some("cs8".into()), Some(2));
    let table = full.to_table();
    let mut fields = 0;
    for (section, entries) in &table {
        for (name, value) in entries.as_table().unwrap() {
            let key = find(&format!("{section}.{name}")).unwrap_or_else(|| panic!("{section}.{name}"));
            assert!(key.rule.check(value.clone()).is_some(), "{} = {value}", key.name);
            fields += 1;
        }
    }
    assert_eq!(fields, KEYS.len());
}

#[test]
fn flags_win_over_environment_over_file() {
    let file = file("[air]\nsnr_db = 1\ncfo_hz = 10.5\nseed = 4\n");
    let environment = variables(&[("SEMCAST_AIR_SNR_DB", "2"), ("SEMCAST_AIR_SEED", "5"), ("PATH", "x")]);
    let mut flags = Overrides::new();
    flags.set("--snr", "air.snr_db", Some(3.0)).set("--cfo", "air.cfo_hz", None::<f64>);
    let config = Config::load(Some(file.path()), environment, &flags).unwrap();
    assert_eq!((config.air.snr_db, config.air.seed, config.air.cfo_hz), (3.0, 5, 10.5));
    assert_eq!(config.air.channel, Config::default().air.channel);
}

#[test]
fn unknown_key_names_line_and_nearest() {
    let file = file("# radio\n\n[air]\nseed = 1\nsnr_bd = 3\n");
    let message = Config::load(Some(file.path()), [], &Overrides::new()).unwrap_err().to_string();
    assert!(message.contains("line 5"), "{message}");
    assert!(message.contains("\"air.snr_bd\"") && message.contains("\"air.snr_db\""), "{message}");
    assert!(message.contains(file.path().to_str().unwrap()), "{message}");
}

#[test]
fn unknown_section_and_stray_key_are_named() {
    let message = |text| {
        let file = file(text);
        Config::load(Some(file.path()), [], &Overrides::new()).unwrap_err().to_string()
    };
    assert!(message("[airs]\nseed = 1\n").contains("did you mean \"air\""));
    assert!(message("seed = 1\n").contains("did you mean \"air.seed\""));
    assert!(message("[air\nseed = 1\n").contains("line 1"));
}

#[test]
fn unknown_variable_is_refused() {
    let environment = variables(&[("SEMCAST_AIR_SNR", "2")]);
    let message = Config::load(None, environment, &Overrides::new()).unwrap_err().to_string();
    assert!(message.contains("SEMCAST_AIR_SNR_DB"), "{message}");
    assert!(Config::load(None, variables(&[("SEMCAST_LOG", "debug")]), &Overrides::new()).is_ok());
}

#[test]
fn value_out_of_range_names_place_and_range() {
    let file = file("[transmitter]\ncbr = 0.1\nmax_resends = 1000\n");
    let message = Config::load(Some(file.path()), [], &Overrides::new()).unwrap_err().to_string();
    assert!(message.contains("line 3") && message.contains("0 to 100"), "{message}");
    let environment = variables(&[("SEMCAST_CONTROL_FEEDBACK", "maybe")]);
    let message = Config::load(None, environment, &Overrides::new()).unwrap_err().to_string();
    assert!(message.contains("SEMCAST_CONTROL_FEEDBACK") && message.contains("true or false"), "{message}");
    let mut flags = Overrides::new();
    flags.set("--system", "transmitter.system", Some("morse"));
    let message = Config::load(None, [], &flags).unwrap_err().to_string();
    assert!(message.contains("flag --system") && message.contains("classical, ae"), "{message}");
}

#[test]
fn lists_come_from_every_layer() {
    let environment = variables(&[("SEMCAST_CONTROL_PEERS", "a.cert,b.cert")]);
    let config = Config::load(None, environment.clone(), &Overrides::new()).unwrap();
    assert_eq!(config.control.peers, ["a.cert", "b.cert"]);
    let mut flags = Overrides::new();
    flags.set_list("--peer", "control.peers", &["c.cert".into()]);
    assert_eq!(Config::load(None, environment, &flags).unwrap().control.peers, ["c.cert"]);
}

#[test]
fn what_is_printed_reads_back() {
    let mut flags = Overrides::new();
    flags
        .set("--snr", "air.snr_db", Some(-2.5))
        .set("--key", "control.key", Some("odd \"name\"\n.key"))
        .set_list("--peer", "control.peers", &["a".into(), "b".into()]);
    let config = Config::load(None, [], &flags).unwrap();
    let text = config.to_commented_toml();
    assert!(text.contains("# design_snr_db is not set"), "{text}");
    let file = file(&text);
    assert_eq!(Config::load(Some(file.path()), [], &Overrides::new()).unwrap(), config);
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(text in "(\\[[a-z]{1,8}\\]\n|[a-z_.]{1,10} = [-0-9a-z\"\\[\\]{}.]{0,6}\n|.{0,20}\n){0,8}") {
        let file = file(&text);
        // Either is right; what counts is that it comes back.
        let _ = Config::load(Some(file.path()), [], &Overrides::new());
    }
}
