//! Plans for devices as their drivers describe them.

use super::*;

/// A HackRF One, as SoapyHackRF describes it.
fn hackrf() -> Capabilities {
    Capabilities {
        driver: "HackRF".into(),
        hardware: "HackRF One".into(),
        channels: 1,
        full_duplex: false,
        has_time: false,
        formats: ["CS8", "CS16", "CF32", "CF64"].map(String::from).into(),
        native: ("CS8".into(), 128.0),
        antennas: vec!["TX/RX".into()],
        gains: vec![
            ("LNA".into(), Span { least: 0.0, most: 40.0 }),
            ("AMP".into(), Span { least: 0.0, most: 14.0 }),
            ("VGA".into(), Span { least: 0.0, most: 62.0 }),
        ],
        total_gain: Span { least: 0.0, most: 116.0 },
        automatic_gain: false,
        frequencies: vec![Span { least: 0.0, most: 7.25e9 }],
        frequency_parts: vec!["RF".into()],
        sample_rates: (1..=20)
            .map(|rate| Span { least: f64::from(rate) * 1e6, most: f64::from(rate) * 1e6 })
            .collect(),
        bandwidths: vec![Span { least: 1.75e6, most: 28e6 }],
        automatic_dc: false,
        correction: false,
    }
}

/// A USRP B200, as SoapyUHD describes it.
fn usrp() -> Capabilities {
    Capabilities {
        driver: "b200".into(),
        hardware: "B200".into(),
        full_duplex: true,
        has_time: true,
        formats: ["CS8", "CS16", "CF32"].map(String::from).into(),
        native: ("CS16".into(), 32_767.0),
        antennas: vec!["TX/RX".into(), "RX2".into()],
        gains: vec![("PGA".into(), Span { least: 0.0, most: 76.0 })],
        total_gain: Span { least: 0.0, most: 76.0 },
        automatic_gain: true,
        frequencies: vec![Span { least: 50e6, most: 6e9 }],
        frequency_parts: vec!["RF".into(), "BB".into()],
        sample_rates: vec![Span { least: 62_500.0, most: 61.44e6 }],
        automatic_dc: true,
        ..hackrf()
    }
}

fn settings(rate: f64) -> SoapySettings {
    SoapySettings { frequency_hz: Some(433.92e6), ..SoapySettings::new(rate) }
}

#[test]
fn a_hackrf_gets_its_native_format_and_silence_around_bursts() {
    let plan = plan(Direction::Transmit, &settings(8e6), &hackrf()).expect("a plan");
    assert_eq!(plan.converter, Converter::new(DeviceFormat::Cs8, 128.0));
    assert_eq!(plan.padding, Padding::of(5));
    assert_eq!(plan.ahead_ns, None);
    let text = plan.to_string();
    for part in ["8000000 Hz", "433920000 Hz", "CS8", "-12.0 dB"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_usrp_keeps_time_and_needs_no_silence() {
    let asked = SoapySettings { ahead_ms: 20, offset_hz: 2e6, ..settings(7.68e6) };
    let transmit = plan(Direction::Transmit, &asked, &usrp()).expect("a plan");
    assert_eq!((transmit.padding, transmit.ahead_ns), (Padding::NONE, Some(20_000_000)));
    let asked =
        SoapySettings { gain: Some(GainChoice::Automatic), antenna: Some("RX2".into()), ..settings(7.68e6) };
    let receive = plan(Direction::Receive, &asked, &usrp()).expect("a plan");
    assert!(receive.automatic_dc && receive.dc_filter && receive.ahead_ns.is_none());
}

#[test]
fn what_a_device_lacks_is_named_with_what_it_has() {
    let base = settings(8e6);
    let cases = [
        (Direction::Receive, SoapySettings { sample_rate_hz: 7.68e6, ..base.clone() }, "7000000, 8000000"),
        (Direction::Receive, SoapySettings { frequency_hz: Some(8e9), ..base.clone() }, "0 to 7250000000"),
        (Direction::Receive, SoapySettings { frequency_hz: Some(f64::NAN), ..base.clone() }, "frequency"),
        (
            Direction::Receive,
            SoapySettings { gain: Some(GainChoice::Automatic), ..base.clone() },
            "automatic gain",
        ),
        (
            Direction::Receive,
            SoapySettings { gain: Some(GainChoice::Stages(vec![("PGA".into(), 1.0)])), ..base.clone() },
            "LNA, AMP, VGA",
        ),
        (
            Direction::Receive,
            SoapySettings { gain: Some(GainChoice::Stages(vec![("LNA".into(), 41.0)])), ..base.clone() },
            "gain LNA in dB is 41, this device has 0 to 40",
        ),
        (Direction::Receive, SoapySettings { antenna: Some("RX2".into()), ..base.clone() }, "TX/RX"),
        (Direction::Receive, SoapySettings { offset_hz: 1e6, ..base.clone() }, "offset tuning"),
        (Direction::Receive, SoapySettings { correction_ppm: 1.0, ..base.clone() }, "ppm"),
        (Direction::Receive, SoapySettings { channel: 1, ..base.clone() }, "0 to 0"),
        (Direction::Transmit, SoapySettings { frequency_hz: None, ..base.clone() }, "--frequency"),
        (Direction::Transmit, SoapySettings { level_dbfs: 3.0, ..base.clone() }, "-60 to 0"),
        (
            Direction::Transmit,
            SoapySettings { bandwidth_hz: Some(1.0), ..base.clone() },
            "1750000 to 28000000",
        ),
    ];
    for (direction, settings, part) in cases {
        let error = plan(direction, &settings, &hackrf()).expect_err(part).to_string();
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[test]
fn a_format_that_is_not_ours_is_left_to_the_driver() {
    let device = Capabilities { native: ("CS12".into(), 2048.0), ..usrp() };
    let plan = plan(Direction::Receive, &settings(7.68e6), &device).expect("a plan");
    assert_eq!(plan.converter, Converter::new(DeviceFormat::Cs16, 32_768.0));
}
