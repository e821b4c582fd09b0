//! Logging: `tracing` events → lines on standard error.
//!
//! What is logged is decided by `SEMCAST_LOG` (a filter such as `info` or `semcast_phy=debug,warn`), else by
//! the configuration's `log.filter`.

use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// Environment variable with the log filter.
pub const LOG_VARIABLE: &str = "SEMCAST_LOG";

/// Why logging cannot be started.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter makes no sense.
    #[error("log filter {filter:?}: {reason} (expected such as info or semcast_phy=debug,warn)")]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It runs already.
    #[error("logging was started twice: {0}")]
    Twice(String),
}

/// Starts logging to standard error, once a process. `filter` counts unless [`LOG_VARIABLE`] is set.
pub fn start(filter: &str) -> Result<(), TelemetryError> {
    let filter = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| filter.to_string());
    let parsed = EnvFilter::try_new(&filter)
        .map_err(|error| TelemetryError::Filter { filter, reason: error.to_string() })?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .try_init()
        .map_err(|error| TelemetryError::Twice(error.to_string()))
}
