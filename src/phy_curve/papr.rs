//! Peak-to-average power ratio, and what clipping makes of it.

use num_complex::Complex32;
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    crest,
    numerology::Numerology,
    sync::preamble::qpsk_sequence,
};

use super::{Figure, Run};

const PASSES: usize = 4;
const TARGETS_DB: [f32; 5] = [5.0, 6.0, 7.0, 8.0, 9.0];

pub fn run(run: &Run) -> anyhow::Result<()> {
    let numerology = Numerology::default();
    let count = run.frames(2000) as usize * numerology.subcarriers();
    let mut gaussian: Vec<Complex32> = Vec::with_capacity(count);
    let unit = ChannelConfig { snr_db: Some(0.0), seed: run.first_seed, ..ChannelConfig::default() };
    Channel::new(unit, numerology.sample_rate_hz)?.flush(count, &mut gaussian);
    let qpsk = qpsk_sequence(run.first_seed as u32 & 0x7FFF_FFFF, count);
    for (name, symbols) in [("QPSK", &qpsk), ("Gaussian symbols", &gaussian)] {
        for target_db in TARGETS_DB {
            let figures = crest::measure(&numerology, target_db, PASSES, symbols);
            run.print(
                Figure::new("papr", name)
                    .rounded("target_db", target_db.into(), 1)
                    .with("passes", PASSES)
                    .rounded("before_db", figures.before_db.into(), 2)
                    .rounded("after_db", figures.after_db.into(), 2)
                    .rounded("evm_db", figures.evm_db.into(), 1),
            )?;
        }
    }
    Ok(())
}
