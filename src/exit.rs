//! Exit codes: what went wrong, for scripts.

use std::process::ExitCode;

use semcast_common::{
    config::ConfigError,
    content::ContentError,
    control::{ControlError, KeyError},
    metrics::MetricsError,
    wire::{Failed, FailureCode},
};
use semcast_phy::{channel::ChannelError, numerology::NumerologyError, radio::RadioError};
use semcast_receiver::daemon::ReceiverError;
use semcast_transmitter::daemon::TransmitterError;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONTENT: u8 = 3;
const DELIVERY: u8 = 4;
const UNAVAILABLE: u8 = 5;

/// A failure with the exit code that it asks for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong usage, 2.
    #[error("{0}")]
    Usage(String),
    /// The content cannot be sent, 3.
    #[error("{0}")]
    Content(String),
    /// The message did not arrive, 4.
    #[error("{0}")]
    Delivery(String),
    /// A peer is not there, 5.
    #[error("{0}")]
    Unavailable(String),
}

/// Prints an error with its causes, and turns it into an exit code.
#[expect(clippy::print_stderr, reason = "this is the command line's last word")]
pub fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    ExitCode::from(classify(&error))
}

fn classify(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return match failure {
                Failure::Usage(_) => USAGE,
                Failure::Content(_) => CONTENT,
                Failure::Delivery(_) => DELIVERY,
                Failure::Unavailable(_) => UNAVAILABLE,
            };
        }
        if let Some(failed) = cause.downcast_ref::<Failed>() {
            return match failed.code {
                FailureCode::Content => CONTENT,
                FailureCode::Options => USAGE,
                FailureCode::Delivery => DELIVERY,
                FailureCode::Radio | FailureCode::Unavailable => UNAVAILABLE,
                FailureCode::Internal => FAILED,
            };
        }
        if cause.is::<ContentError>() {
            return CONTENT;
        }
        if cause.is::<ConfigError>()
            || cause.is::<KeyError>()
            || cause.is::<NumerologyError>()
            || cause.is::<ChannelError>()
        {
            return USAGE;
        }
        if let Some(error) = cause.downcast_ref::<ControlError>() {
            return if matches!(error, ControlError::Key(_)) { USAGE } else { UNAVAILABLE };
        }
        if let Some(error) = cause.downcast_ref::<RadioError>() {
            return radio(error);
        }
        if cause.is::<MetricsError>() {
            return UNAVAILABLE;
        }
        // Transparent errors do not show up in the chain themselves.
        match cause.downcast_ref::<TransmitterError>() {
            Some(TransmitterError::Control(_)) => return UNAVAILABLE,
            Some(TransmitterError::Radio(error)) => return radio(error),
            Some(TransmitterError::Model(_)) => return USAGE,
            _ => {}
        }
        match cause.downcast_ref::<ReceiverError>() {
            Some(ReceiverError::Control(_)) => return UNAVAILABLE,
            Some(ReceiverError::Radio(error)) => return radio(error),
            Some(ReceiverError::Model(_)) => return USAGE,
            _ => {}
        }
    }
    FAILED
}

/// A radio that cannot be what was asked for is wrong usage; one that is not there may come back.
fn radio(error: &RadioError) -> u8 {
    match error {
        RadioError::NotBuilt { .. }
        | RadioError::OutOfRange { .. }
        | RadioError::Channel(_)
        | RadioError::Setting { .. }
        | RadioError::Recording(_)
        | RadioError::RawFormat(_)
        | RadioError::RawNeedsPacing => USAGE,
        _ => UNAVAILABLE,
    }
}
