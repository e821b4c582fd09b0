//! QPSK of rate 1/2 end to end, and what it costs to find frames and to estimate the channel.

use semcast_phy::{
    channel::{ChannelConfig, Profile},
    curves::ErrorCount,
    link_trial::{LinkOptions, LinkTrial, Tally},
    numerology::Numerology,
};

use super::{Figure, Run, crew::Crew, threshold_db};

/// Carrier offset: 20 ppm at 2.4 GHz.
const MOST_CFO_HZ: f64 = 48e3;

pub fn run(run: &Run) -> anyhow::Result<()> {
    let small = Numerology { fft_size: 64, cyclic_prefix: 16, resource_blocks: 4, sample_rate_hz: 7.68e6 };
    for numerology in [Numerology::default(), small] {
        let options = LinkOptions { numerology, most_cfo_hz: MOST_CFO_HZ, ..LinkOptions::default() };
        for half_db in 0..=12 {
            let snr_db = f64::from(half_db) / 2.0;
            let tally = tally(run, &options, snr_db, run.frames(2000))?;
            run.print(
                Figure::new("link", name(&options))
                    .rounded("snr_db", snr_db, 2)
                    .rounded(
                        "sample_snr_db",
                        snr_db + 10.0 * options.numerology.occupied_fraction().log10(),
                        2,
                    )
                    .with("frames", tally.frames)
                    .with("detections", tally.detections)
                    .with("headers", tally.headers)
                    .with("delivered", tally.delivered)
                    .with("intact", tally.intact)
                    .with("wrong", tally.wrong)
                    .rounded("fer", tally.frame_error_rate(), 6),
            )?;
        }
    }
    for numerology in [Numerology::default(), small] {
        for (profile, from_db, step_db) in [("awgn", 0.0, 0.25), ("tdl-a:100", 2.0, 1.0)] {
            let channel = ChannelConfig { profile: profile.parse()?, ..ChannelConfig::default() };
            let options =
                LinkOptions { numerology, channel, most_cfo_hz: MOST_CFO_HZ, ..LinkOptions::default() };
            let frames = run.frames(4000);
            let link_db = threshold_db(from_db, step_db, |snr_db| {
                let tally = tally(run, &options, snr_db, frames)?;
                Ok(ErrorCount { frames: tally.frames, errors: tally.lost(), undetected: tally.wrong })
            })?;
            let known_db =
                threshold_db(from_db, step_db, |snr_db| known_channel(run, &options, snr_db, frames))?;
            let (link_db, known_db) = (link_db.unwrap_or(f64::NAN), known_db.unwrap_or(f64::NAN));
            run.print(
                Figure::new("gap", name(&options))
                    .rounded("link_snr_db", link_db, 2)
                    .rounded("known_channel_snr_db", known_db, 2)
                    .rounded("gap_db", link_db - known_db, 2)
                    .with("frames", frames),
            )?;
        }
    }
    Ok(())
}

fn name(options: &LinkOptions) -> String {
    let profile = match &options.channel.profile {
        Profile::Awgn => "AWGN".to_owned(),
        other => other.to_string(),
    };
    format!("{} FFT {} {profile}", options.mcs, options.numerology.fft_size)
}

fn at(options: &LinkOptions, snr_db: f64) -> LinkOptions {
    let channel = ChannelConfig { snr_db: Some(snr_db), ..options.channel.clone() };
    LinkOptions { channel, ..options.clone() }
}

fn tally(run: &Run, options: &LinkOptions, snr_db: f64, frames: u64) -> anyhow::Result<Tally> {
    let options = at(options, snr_db);
    let mut crew = Crew::new(run.threads, || Ok(LinkTrial::new(options.clone())?))?;
    let enough = (frames / 50).max(20);
    crew.run_until(
        run.first_seed..run.first_seed + frames,
        |tally: &Tally| tally.lost() >= enough,
        |trial, seed| Ok(trial.run(seed)?),
    )
}

fn known_channel(run: &Run, options: &LinkOptions, snr_db: f64, frames: u64) -> anyhow::Result<ErrorCount> {
    let options = at(options, snr_db);
    let mut crew = Crew::new(run.threads, || Ok(LinkTrial::new(options.clone())?))?;
    let enough = (frames / 50).max(20);
    let tally = crew.run_until(
        run.first_seed..run.first_seed + frames,
        |tally: &Tally| tally.lost() >= enough,
        |trial, seed| {
            let intact = u64::from(trial.decodes_with_known_channel(seed)?);
            Ok(Tally { frames: 1, intact, ..Tally::default() })
        },
    )?;
    Ok(ErrorCount { frames: tally.frames, errors: tally.lost(), undetected: 0 })
}
