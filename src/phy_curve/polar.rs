//! Polar codes over white noise, BPSK.

use semcast_phy::{
    channel::{Channel, ChannelConfig},
    coding::polar::{ListSize, PolarDecoder, PolarEncoder},
    modulation::scrambler::GoldSequence,
};

use super::{Figure, Run, crew::Crew};

/// Payload bytes, coded bits: the header of the normal mode at the smallest band and at the default one, and
/// lengths that others publish.
const CODES: [(usize, usize); 4] = [(8, 640), (8, 1130), (18, 512), (22, 1024)];

struct Link {
    encoder: PolarEncoder,
    decoder: PolarDecoder,
}

pub fn run(run: &Run) -> anyhow::Result<()> {
    let frames = run.frames(10_000);
    for (list_size, adaptive, name) in
        [(ListSize::Eight, false, "list 8"), (ListSize::ThirtyTwo, true, "list up to 32")]
    {
        let mut crew = Crew::new(run.threads, || {
            let mut decoder = PolarDecoder::new();
            decoder.set_list_size(list_size);
            decoder.set_adaptive(adaptive);
            Ok(Link { encoder: PolarEncoder::new(), decoder })
        })?;
        for (payload_bytes, coded_bits) in CODES {
            for half_db in 0..=8 {
                let eb_n0_db = f64::from(half_db) / 2.0;
                let es_n0_db = eb_n0_db + 10.0 * ((8 * payload_bytes) as f64 / coded_bits as f64).log10();
                let seeds = run.first_seed..run.first_seed + frames;
                let enough = (frames / 50).max(20);
                let (mut sent, mut lost) = (0, 0);
                let sum = crew.run_until(
                    seeds,
                    |counts: &Counts| counts.lost >= enough,
                    |link, seed| link.trial(payload_bytes, coded_bits, es_n0_db, seed),
                )?;
                sent += sum.sent;
                lost += sum.lost;
                let fer = lost as f64 / sent as f64;
                run.print(
                    Figure::new("polar", format!("{} + 24 bits in {coded_bits}, {name}", 8 * payload_bytes))
                        .rounded("eb_n0_db", eb_n0_db, 2)
                        .rounded("es_n0_db", es_n0_db, 2)
                        .with("frames", sent)
                        .with("errors", lost)
                        .rounded("fer", fer, 6),
                )?;
                if fer < 1e-3 {
                    break;
                }
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    sent: u64,
    lost: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.lost += other.lost;
    }
}

impl Link {
    fn trial(
        &mut self,
        payload_bytes: usize,
        coded_bits: usize,
        es_n0_db: f64,
        seed: u64,
    ) -> anyhow::Result<Counts> {
        let mut sequence = GoldSequence::new(seed as u32 & 0x7FFF_FFFF);
        let payload: Vec<u8> = (0..payload_bytes).map(|_| sequence.next_word() as u8).collect();
        let mut coded = Vec::new();
        self.encoder.encode(&payload, coded_bits, &mut coded)?;
        let config = ChannelConfig { snr_db: Some(es_n0_db), seed, ..ChannelConfig::default() };
        let mut noise = Vec::new();
        Channel::new(config, 1e6)?.flush(coded_bits, &mut noise);
        let gain = 4.0 * 10f32.powf(es_n0_db as f32 / 10.0);
        let llrs: Vec<f32> = coded
            .iter()
            .zip(&noise)
            .map(|(&bit, noise)| gain * (1.0 - 2.0 * f32::from(bit) + noise.re))
            .collect();
        let arrived = self.decoder.decode(&llrs, payload_bytes).is_ok_and(|decoded| decoded == payload);
        Ok(Counts { sent: 1, lost: u64::from(!arrived) })
    }
}
