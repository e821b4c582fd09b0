//! The transmitter daemon: content → encode → plan → modulate → radio.
//!
//! - [`daemon`]: starts everything, serves receivers and `send` clients over the control link.
//! - [`jobs`]: a `send` client's submission on its way to the worker and back.
//! - [`cost`]: what a message may cost, and what frames have cost.
//! - [`worker`]: the thread that encodes, modulates, sends, and sends again what was lost.
//! - [`link_adaptation`]: reported channel state, and what was delivered → mode and MCS.
//! - [`planner`]: a message → frames.
//! - [`allocation`]: importances and reported channel state → resource blocks of a frame's segments.
//! - [`resending`]: what to send again, and in which form.
//! - [`rounds`]: one message on its way, round by round. [`refining`]: while a latency budget lasts.
//! - [`metrics`]: what it counts.
//! - [`receivers`]: who listens, and what they last said.

pub mod allocation;
pub mod cost;
pub mod daemon;
pub mod jobs;
pub mod link_adaptation;
pub mod metrics;
pub mod planner;
pub mod receipts;
pub mod receivers;
pub mod refining;
pub mod resending;
pub mod rounds;
pub mod worker;
