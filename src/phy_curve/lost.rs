//! Frames that are lost where none should be.

use semcast_phy::{
    channel::ChannelConfig,
    link_trial::{LinkOptions, LinkTrial},
    mode::Mode,
    modulation::mcs::Mcs,
    numerology::Numerology,
};

use super::{Figure, Run, crew::Crew, element_snr_db};

/// Frames of a burst without gaps.
const BURST: u16 = 20;

pub fn run(run: &Run) -> anyhow::Result<()> {
    for (name, options) in cases()? {
        let mut crew = Crew::new(run.threads, || Ok(LinkTrial::new(options.clone())?))?;
        let trials = run.frames(1000).div_ceil(options.frames.into());
        let tally = crew.run(run.first_seed..run.first_seed + trials, |trial, seed| Ok(trial.run(seed)?))?;
        run.print(
            Figure::new("lost", name)
                .with("mcs", options.mcs.to_string())
                .rounded("snr_db", options.channel.snr_db.unwrap_or(f64::NAN), 2)
                .with("frames", tally.frames)
                .with("lost", tally.lost())
                .with("detections", tally.detections)
                .with("headers", tally.headers)
                .with("delivered", tally.delivered)
                .with("wrong", tally.wrong),
        )?;
    }
    Ok(())
}

fn cases() -> anyhow::Result<Vec<(&'static str, LinkOptions)>> {
    let at_20_db = ChannelConfig { snr_db: Some(20.0), ..ChannelConfig::default() };
    let default = LinkOptions { channel: at_20_db.clone(), ..LinkOptions::default() };
    let back_to_back = LinkOptions { frames: BURST, gap_samples: 0, ..default.clone() };
    let small = Numerology { fft_size: 64, cyclic_prefix: 16, resource_blocks: 4, sample_rate_hz: 20e6 };
    let fading = |profile: &str| -> anyhow::Result<LinkOptions> {
        let channel = ChannelConfig { profile: profile.parse()?, doppler_hz: 70.0, ..at_20_db.clone() };
        Ok(LinkOptions { channel, most_cfo_hz: 48e3, ..LinkOptions::default() })
    };
    let offsets = ChannelConfig { cfo_hz: 234.567, sampling_offset_ppm: 147.0, ..at_20_db.clone() };
    let numerology = Numerology::default();
    let deep_db = element_snr_db(&numerology, -13.0);
    let robust = LinkOptions {
        mode: Mode::Robust,
        mcs: Mcs::select(deep_db as f32, 1.0),
        payload_bytes: 100,
        channel: ChannelConfig { snr_db: Some(deep_db), ..ChannelConfig::default() },
        most_cfo_hz: 48e3,
        ..LinkOptions::default()
    };
    Ok(vec![
        ("back to back", back_to_back.clone()),
        ("back to back, FFT 64", LinkOptions { numerology: small, ..back_to_back.clone() }),
        ("back to back, 16-QAM", LinkOptions { mcs: Mcs::select(7.5, 0.0), ..back_to_back }),
        ("TDL-A 100 ns, Doppler 70 Hz", fading("tdl-a:100")?),
        ("TDL-C 300 ns, Doppler 70 Hz", fading("tdl-c:300")?),
        (
            "TDL-C 300 ns, Doppler 70 Hz, 3000 bytes",
            LinkOptions { payload_bytes: 3000, ..fading("tdl-c:300")? },
        ),
        ("CFO 234.567 Hz, clock 147 ppm", LinkOptions { channel: offsets, ..default.clone() }),
        ("DC spike 20 dB above the signal", LinkOptions { dc_spike_db: Some(20.0), ..default }),
        ("robust, -13 dB a sample", robust),
    ])
}
