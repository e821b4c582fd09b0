//! Modulation: coded bits ↔ complex symbols of unit mean power.
//!
//! Transmit: [`scrambler`] → [`Modulation::map`]. Receive: [`Modulation::demap`] → [`scrambler`].
//! [`mcs`] is the ladder of modulations and code rates that link adaptation climbs, and
//! [`mutual_information`] averages a frequency-selective channel for it.
//!
//! Conventions: bits are one `u8` each, 0 or 1; an LLR is ln P(0)/P(1); SNR is Es/N0 of a complex
//! symbol, and a noise variance is that of the complex noise.
//!
//! Reference: 3GPP TS 38.211 V18.6.0, §5.1 and §5.2.

mod capacity_table;
mod constellation;
mod demapper;
pub mod mcs;
mod mcs_table;
pub mod mutual_information;
pub mod scrambler;

pub use constellation::Modulation;
pub use demapper::MAX_LLR;
