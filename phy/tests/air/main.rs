//! The air over real sockets.
//!
//! - [`exchange`]: exact samples, several receivers, and radios that come, go and die.
//! - [`control`]: what can be set, before it runs and while it does.
//! - [`paced`]: in the time of the clock; ports without headers, recordings.
//! - [`running`]: an air in a thread, and what must come out of it.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real sockets, and limits on waiting"
)]

mod control;
mod exchange;
mod paced;
mod running;
