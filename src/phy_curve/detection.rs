//! How deep the detector hears, and how often noise deceives it.

use semcast_phy::{
    detection_trial::{DetectionTrial, RecordedNoise, false_alarms},
    mode::Mode,
    numerology::Numerology,
};

use super::{Figure, Run, crew::Crew, element_snr_db};

const RATES_HZ: [f64; 3] = [2e6, 7.68e6, 20e6];
const MOST_CFO_HZ: f64 = 48e3;
/// SNR of a sample.
const SAMPLE_SNR_DB: f64 = -13.0;
/// Noise that a trial listens to, in samples.
const STRETCH: u64 = 50_000_000;

pub fn run(run: &Run) -> anyhow::Result<()> {
    let numerologies = RATES_HZ.map(|sample_rate_hz| Numerology { sample_rate_hz, ..Numerology::default() });
    let frames = run.frames(1000);
    for numerology in numerologies {
        let mut crew = Crew::new(run.threads, || {
            Ok(DetectionTrial::new(numerology, Mode::Robust, SAMPLE_SNR_DB, MOST_CFO_HZ))
        })?;
        let seeds = run.first_seed..run.first_seed + frames;
        let found: u64 = crew.run(seeds, |trial, seed| Ok(u64::from(trial.finds(seed)?)))?;
        run.print(
            Figure::new("detection", rate_name(&numerology))
                .rounded("sample_snr_db", SAMPLE_SNR_DB, 2)
                .rounded("snr_db", element_snr_db(&numerology, SAMPLE_SNR_DB), 2)
                .rounded("most_cfo_hz", MOST_CFO_HZ, 0)
                .with("frames", frames)
                .with("found", found),
        )?;
    }
    let noise = RecordedNoise::new(run.first_seed);
    for numerology in numerologies {
        let stretches = (run.minutes * 60.0 * numerology.sample_rate_hz / STRETCH as f64).ceil() as u64;
        if stretches == 0 {
            continue;
        }
        let seeds = run.first_seed..run.first_seed + stretches;
        let alarms: u64 = Crew::new(run.threads, || Ok(()))?
            .run(seeds, |(), seed| Ok(false_alarms(&numerology, &noise, seed, STRETCH)))?;
        run.print(
            Figure::new("false-alarm", rate_name(&numerology))
                .rounded("minutes", (stretches * STRETCH) as f64 / numerology.sample_rate_hz / 60.0, 2)
                .with("false_alarms", alarms),
        )?;
    }
    Ok(())
}

fn rate_name(numerology: &Numerology) -> String {
    format!("{} Msamples/s", numerology.sample_rate_hz / 1e6)
}
