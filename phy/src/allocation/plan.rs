//! The plan: importances, demands and the channel → blocks, MCS and power of every segment.
//!
//! **Blocks.** Segments are served in order of importance, blocks in the strategy's order. Of the capacity
//! that is left, a segment is due the share that its importance has in that of all segments not yet served;
//! it opens blocks as long as the middle of the next one's capacity lies within its share, at least one,
//! and no more than its elements fill. What exceeds its blocks goes where others leave room (`fill`).
//!
//! **MCS.** The fastest rung whose threshold and margin the effective SNR of the segment's elements reaches.
//! A faster rung takes fewer elements, which moves all segments behind it; the plan is repeated until
//! nothing changes, and only goes down the ladder after some rounds.
//!
//! **Power.** See [`PowerRule`].

use thiserror::Error;

use super::{
    MAX_RESOURCE_BLOCKS, PowerRule, Record, RecordError, Strategy,
    capacity::capacity_256,
    fill::{Cursor, Take, fill},
    order::{levels, order_blocks},
    power,
    record::MAX_RANKS,
};
use crate::modulation::{
    Modulation,
    mcs::Mcs,
    mutual_information::{capacity_bits, snr_db_for_capacity},
};

/// Rounds in which an MCS may rise.
const FREE_ROUNDS: usize = 8;
/// Rounds in all: an MCS that still changed in the last one is the lower of the two.
const ROUNDS: usize = 12;

/// How the MCS of a coded segment is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// This one.
    Fixed(Mcs),
    /// The fastest whose threshold lies this many dB below the effective SNR.
    Adaptive {
        /// Distance in dB.
        margin_db: f32,
    },
}

/// What a segment has to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Demand {
    /// Symbols that are sent as they are.
    Analog {
        /// Number of symbols.
        symbols: usize,
    },
    /// Bytes that are coded.
    Coded {
        /// Number of bytes.
        bytes: usize,
        /// How fast.
        rate: Rate,
    },
}

/// A segment that wants a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Importance; only the ratios between segments count, and zero counts as one.
    pub importance: u16,
    /// What is to be sent.
    pub demand: Demand,
}

/// How to plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanOptions {
    /// How blocks are given away.
    pub strategy: Strategy,
    /// Whether analog segments get power by importance.
    pub power: PowerRule,
}

/// What was planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What crosses the air.
    pub record: Record,
    /// MCS of the coded segments.
    pub mcs: Vec<Option<Mcs>>,
    /// Elements of each segment.
    pub elements: Vec<usize>,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// The band has no resource blocks, or too many.
    #[error("{0} resource blocks: must be 1 to {MAX_RESOURCE_BLOCKS}")]
    ResourceBlocks(usize),
    /// Too many segments.
    #[error("{0} segments: at most {MAX_RANKS}")]
    Segments(usize),
    /// The record could not be made.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Plans a frame for a channel whose blocks have these SNRs in half dB.
///
/// # Errors
/// [`PlanError`] if there are no resource blocks, or too many of them or of segments.
pub fn plan(requests: &[Request], snr_half_db: &[i8], options: &PlanOptions) -> Result<Plan, PlanError> {
    if !(1..=MAX_RESOURCE_BLOCKS).contains(&snr_half_db.len()) {
        return Err(PlanError::ResourceBlocks(snr_half_db.len()));
    }
    if requests.len() > MAX_RANKS {
        return Err(PlanError::Segments(requests.len()));
    }
    let mut planner = Planner::new(requests, snr_half_db, options.strategy);
    let mut mcs = planner.start();
    let mut elements = planner.elements(&mcs);
    for round in 0..ROUNDS {
        planner.place(&elements);
        let mut next = planner.mcs();
        if round >= FREE_ROUNDS {
            next.iter_mut().zip(&mcs).for_each(|(next, &current)| *next = (*next).min(current));
        }
        if next == mcs {
            break;
        }
        mcs = next;
        elements = planner.elements(&mcs);
    }
    planner.place(&elements);
    let offsets = match options.power {
        PowerRule::Off => vec![0; requests.len()],
        PowerRule::Importance => {
            let analog: Vec<(u16, usize)> = requests
                .iter()
                .map(|request| match request.demand {
                    Demand::Analog { symbols } => (request.importance, symbols),
                    Demand::Coded { .. } => (request.importance, 0),
                })
                .collect();
            power::offsets(&analog)
        }
    };
    let record = Record::new(
        options.strategy,
        snr_half_db.len(),
        &planner.levels,
        &planner.order,
        &planner.limits,
        &offsets,
    )?;
    Ok(Plan { record, mcs, elements })
}

struct Planner<'a> {
    requests: &'a [Request],
    snr_half_db: &'a [i8],
    strategy: Strategy,
    levels: Vec<u8>,
    blocks: Vec<u16>,
    /// Segments, the most important first.
    order: Vec<u8>,
    limits: Vec<u16>,
    takes: Vec<Take>,
}

impl<'a> Planner<'a> {
    fn new(requests: &'a [Request], snr_half_db: &'a [i8], strategy: Strategy) -> Self {
        let levels = levels(snr_half_db);
        let mut blocks = Vec::new();
        order_blocks(strategy, &levels, snr_half_db.len(), requests.len(), &mut blocks);
        let mut order: Vec<u8> = (0..requests.len() as u8).collect();
        order.sort_by_key(|&segment| std::cmp::Reverse(requests[usize::from(segment)].importance));
        let limits = vec![0; requests.len()];
        Self { requests, snr_half_db, strategy, levels, blocks, order, limits, takes: Vec::new() }
    }

    /// The MCS that the band as a whole would carry.
    fn start(&self) -> Vec<Option<Mcs>> {
        let band: Vec<f32> = self.snr_half_db.iter().map(|&snr| f32::from(snr) / 2.0).collect();
        let choose = |request: &Request| match request.demand {
            Demand::Analog { .. } => None,
            Demand::Coded { rate: Rate::Fixed(mcs), .. } => Some(mcs),
            Demand::Coded { rate: Rate::Adaptive { margin_db }, .. } => {
                Some(Mcs::select_for_blocks(&band, margin_db))
            }
        };
        self.requests.iter().map(choose).collect()
    }

    fn elements(&self, mcs: &[Option<Mcs>]) -> Vec<usize> {
        let elements = |(request, mcs): (&Request, &Option<Mcs>)| match (request.demand, mcs) {
            (Demand::Analog { symbols }, _) => symbols,
            (Demand::Coded { bytes, .. }, Some(mcs)) => mcs.symbols_for_bytes(bytes),
            (Demand::Coded { .. }, None) => 0,
        };
        self.requests.iter().zip(mcs).map(elements).collect()
    }

    /// Counts the blocks of every segment, and how its elements lie in them. All blocks are taken as equally
    /// large and just large enough: which of their elements are pilots is not looked at.
    fn place(&mut self, elements: &[usize]) {
        let total: usize = elements.iter().sum();
        let columns = vec![total.div_ceil(self.blocks.len()); self.blocks.len()];
        self.count_blocks(elements, &columns);
        fill(&self.blocks, &columns, &self.order, &self.limits, elements, &mut self.takes);
    }

    fn count_blocks(&mut self, elements: &[usize], columns: &[usize]) {
        if matches!(self.strategy, Strategy::None | Strategy::Equal) {
            let limit = self.blocks.len().div_ceil(self.order.len().max(1));
            self.limits.fill(limit as u16);
            return;
        }
        // Capacity of an element; a block in a deep fade still counts as one.
        let capacity = |block: usize| u128::from(capacity_256(self.snr_half_db[block]).max(1));
        let importance = |segment: u8| u128::from(self.requests[usize::from(segment)].importance.max(1));
        let mut capacity_left: u128 =
            columns.iter().enumerate().map(|(block, &column)| capacity(block) * column as u128).sum();
        let mut importance_left: u128 = self.order.iter().map(|&segment| importance(segment)).sum();
        let mut cursor = Cursor::new(&self.blocks, columns);
        for &segment in &self.order {
            let due = capacity_left * importance(segment) / importance_left.max(1);
            let mut left = elements[usize::from(segment)];
            let (mut got, mut opened) = (0, 0);
            while let Some(block) = cursor.block().filter(|_| left > 0) {
                if cursor.fresh() {
                    let gain = capacity(block) * left.min(columns[block]) as u128;
                    if got > 0 && 2 * got + gain > 2 * due {
                        break;
                    }
                    opened += 1;
                }
                let Some((block, taken)) = cursor.take(left) else { break };
                got += capacity(block) * taken as u128;
                left -= taken;
            }
            self.limits[usize::from(segment)] = opened;
            capacity_left -= got.min(capacity_left);
            importance_left -= importance(segment);
        }
    }

    /// The MCS that suits where the elements of each segment lie.
    fn mcs(&self) -> Vec<Option<Mcs>> {
        let choose = |(segment, request): (usize, &Request)| match request.demand {
            Demand::Analog { .. } => None,
            Demand::Coded { rate: Rate::Fixed(mcs), .. } => Some(mcs),
            Demand::Coded { rate: Rate::Adaptive { margin_db }, .. } => {
                let effective = Modulation::ALL.map(|modulation| self.effective_snr_db(segment, modulation));
                let holds = |mcs: &Mcs| {
                    let place = Modulation::ALL.iter().position(|&modulation| modulation == mcs.modulation());
                    let snr_db = place.map_or(f32::NEG_INFINITY, |place| effective[place]);
                    mcs.threshold_db() + margin_db <= snr_db
                };
                Some(Mcs::all().rev().find(holds).unwrap_or(Mcs::LOWEST))
            }
        };
        self.requests.iter().enumerate().map(choose).collect()
    }

    /// SNR of the flat channel that carries as much as the segment's elements, see
    /// [`crate::modulation::mutual_information`].
    fn effective_snr_db(&self, segment: usize, modulation: Modulation) -> f32 {
        let everywhere = [Take { segment, block: 0, elements: 1 }];
        let band = self.blocks.iter().map(|&block| Take { block: usize::from(block), ..everywhere[0] });
        let takes: Vec<Take> = match self.strategy {
            Strategy::None => band.collect(),
            _ => self.takes.iter().filter(|take| take.segment == segment).copied().collect(),
        };
        let (mut bits, mut elements) = (0.0, 0.0);
        for take in takes {
            let snr_db = f32::from(self.snr_half_db[take.block]) / 2.0;
            bits += take.elements as f32 * capacity_bits(modulation, snr_db);
            elements += take.elements as f32;
        }
        if elements > 0.0 { snr_db_for_capacity(modulation, bits / elements) } else { f32::NEG_INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, strategy::Strategy as _};

    use super::{Strategy, *};

    fn analog(importance: u16, symbols: usize) -> Request {
        Request { importance, demand: Demand::Analog { symbols } }
    }

    fn planned(requests: &[Request], snr: &[i8], strategy: Strategy) -> Plan {
        plan(requests, snr, &PlanOptions { strategy, power: PowerRule::Off }).unwrap()
    }

    #[test]
    fn blocks_follow_importance_and_stop_at_the_demand() {
        let flat = [16; 24];
        let counts = |requests: &[Request]| {
            planned(requests, &flat, Strategy::Importance).record.block_counts().to_vec()
        };
        // Alike demands: the last is due what is left and gets it.
        assert_eq!(counts(&[analog(6, 8000), analog(3, 8000), analog(3, 8000)]), [8, 8, 8]);
        // The first wants more than its share of half of the capacity, and gets just that.
        assert_eq!(counts(&[analog(6, 20_000), analog(3, 2000), analog(3, 2000)]), [12, 2, 2]);
        // Importance, not the place in the list, decides.
        assert_eq!(counts(&[analog(1, 2000), analog(2, 20_000), analog(1, 2000)]), [2, 12, 2]);
    }

    #[test]
    fn a_better_block_counts_for_more() {
        let mut snr = [0; 20];
        snr[..4].fill(60);
        // 4 blocks of 9.97 bits and 16 of 1 bit: half of it all is in fewer than 4 blocks.
        let plan = planned(&[analog(1, 10_000), analog(1, 10_000)], &snr, Strategy::Importance);
        assert_eq!(plan.record.block_counts(), [3, 10]);
        let plan = planned(&[analog(1, 10_000), analog(1, 10_000)], &snr, Strategy::Inverse);
        assert_eq!(plan.record.block_counts(), [10, 10]);
    }

    #[test]
    fn the_plan_is_the_same_in_every_release() {
        let snr = [12, 30, -8, 22, 17, 17, 3, 40, -30, 25, 9, 14];
        let requests = [analog(100, 900), analog(700, 600), analog(300, 1500), analog(20, 300)];
        let options = PlanOptions { strategy: Strategy::Importance, power: PowerRule::Importance };
        let plan = plan(&requests, &snr, &options).unwrap();
        assert_eq!(plan.record.write(), [59, 113, 93, 73, 248, 234, 187, 25, 154, 23, 4, 131, 88]);
    }

    #[test]
    fn coded_segments_get_the_mcs_of_their_blocks() {
        let mut snr = [10; 25];
        snr[..6].fill(40);
        let coded = |importance| Request {
            importance,
            demand: Demand::Coded { bytes: 2000, rate: Rate::Adaptive { margin_db: 1.0 } },
        };
        let plan = planned(&[coded(50), coded(10)], &snr, Strategy::Importance);
        let mcs: Vec<Mcs> = plan.mcs.iter().flatten().copied().collect();
        // A part of it may lie in what the other segment has left of a good block.
        assert!((Mcs::select(5.0, 1.0)..=Mcs::select(6.0, 1.0)).contains(&mcs[1]), "{}", mcs[1]);
        assert_eq!(mcs[0], Mcs::select(20.0, 1.0));
        assert_eq!(plan.elements, [mcs[0].symbols_for_bytes(2000), mcs[1].symbols_for_bytes(2000)]);
        let fixed = Demand::Coded { bytes: 9, rate: Rate::Fixed(Mcs::LOWEST) };
        let plan = planned(&[Request { importance: 0, demand: fixed }], &snr, Strategy::None);
        assert_eq!(plan.mcs, [Some(Mcs::LOWEST)]);
    }

    #[test]
    fn nonsense_is_refused() {
        let options = PlanOptions::default();
        assert_eq!(plan(&[], &[], &options), Err(PlanError::ResourceBlocks(0)));
        assert_eq!(plan(&[], &[0; 341], &options), Err(PlanError::ResourceBlocks(341)));
        assert_eq!(plan(&[analog(1, 1); 65], &[0; 25], &options), Err(PlanError::Segments(65)));
        assert!(plan(&[], &[0; 25], &options).is_ok());
    }

    proptest! {
        #[test]
        fn any_request_is_planned_and_the_record_comes_back(
            requests in proptest::collection::vec(
                (any::<u16>(), 0usize..20_000, any::<bool>(), -2f32..4.0).prop_map(
                    |(importance, amount, is_coded, margin_db)| {
                        let coded = Demand::Coded { bytes: amount, rate: Rate::Adaptive { margin_db } };
                        let analog = Demand::Analog { symbols: amount };
                        Request { importance, demand: if is_coded { coded } else { analog } }
                    },
                ),
                0..=MAX_RANKS,
            ),
            snr in proptest::collection::vec(any::<i8>(), 1..60),
            inverse: bool,
        ) {
            let strategy = if inverse { Strategy::Inverse } else { Strategy::Importance };
            let options = PlanOptions { strategy, power: PowerRule::Importance };
            let plan = plan(&requests, &snr, &options).unwrap();
            let bytes = plan.record.write();
            let parsed = Record::parse(&bytes, snr.len(), requests.len());
            prop_assert_eq!(parsed, Ok((plan.record.clone(), bytes.len())));
            let opened: usize = plan.record.block_counts().iter().map(|&count| usize::from(count)).sum();
            prop_assert!(opened <= snr.len());
            for (request, mcs) in requests.iter().zip(&plan.mcs) {
                prop_assert_eq!(mcs.is_some(), matches!(request.demand, Demand::Coded { .. }));
            }
        }
    }
}
