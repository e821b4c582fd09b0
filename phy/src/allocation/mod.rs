//! Allocation: which resource blocks (RBs) carry which segment of a frame.
//!
//! | stage | who | in → out |
//! |---|---|---|
//! | [`plan()`] | transmitter | importances, demands, SNR per RB → number of RBs, MCS and power of each segment |
//! | [`record`] | both, over the air | the plan's part that a receiver needs ↔ some twenty bytes |
//! | [`layout`] | both | record, elements of each segment → resource elements in the order of filling |
//!
//! The RBs with the highest gain go to the most important segment, and so on down; how many a segment gets
//! follows from aligning the capacity of its RBs with its share of the importance. Whatever decides where a
//! resource element lies is integer arithmetic on what crosses the air, so both ends find the same layout on
//! every machine. [`trial`] measures what that gains over a frequency-selective channel.
//!
//! Reference: J. Dai et al., "Toward semantic communications: semantics guided source-channel coding
//! transmission", 2022, "matched channel resource assignment".

mod capacity;
mod fill;
pub mod layout;
mod order;
pub mod plan;
mod power;
pub mod record;
pub mod trial;

pub use capacity::{capacity_256, quantise_snr_db};
pub use layout::{FreeElements, Layout, LayoutError, symbols_needed};
pub use plan::{Demand, Plan, PlanError, PlanOptions, Rate, Request, plan};
pub use power::{MAX_OFFSET, PowerRule, amplitude};
pub use record::{Record, RecordError};

/// Most resource blocks that a layout handles: those of a DFT length of 4096.
pub const MAX_RESOURCE_BLOCKS: usize = 340;

/// How resource blocks are given to segments. All but the first two are for comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// No allocation: segments one after the other over the whole band, in the order of the grid.
    #[default]
    None,
    /// The best blocks to the most important segment.
    Importance,
    /// Blocks in an order drawn from a seed, as many to a segment as its importance asks for.
    Random {
        /// Fixes the order.
        seed: u16,
    },
    /// Blocks dealt in turn, equally many to every segment.
    Equal,
    /// The worst blocks to the most important segment.
    Inverse,
}
