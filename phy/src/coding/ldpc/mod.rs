//! The LDPC codes of 5G NR: systematic bits → codeword, and soft values → systematic bits.
//!
//! A codeword is a row of `Z`-bit blocks, one for each column of the base graph: the systematic
//! ones, four core parity blocks that a double diagonal joins, and extension parity blocks that
//! each occur in one row only. The first two systematic blocks are never transmitted.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.3.2.

mod base_graph;
mod base_graph_1;
mod base_graph_2;
mod decoder;
mod encoder;
mod layer;
mod lifting;
#[cfg(test)]
mod reference;

pub use base_graph::{BaseGraph, Connection, LIFTING_SIZES, LdpcCode, PUNCTURED_COLUMNS};
pub use decoder::{FILLER_LLR, LLR_LIMIT, LLR_SCALE, LdpcDecoder, LdpcOutcome, quantise};
pub use encoder::LdpcEncoder;
