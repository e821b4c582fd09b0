//! What all tests share. Every wait is for something that a process says or does, and ends the test if it takes
//! longer than [`PATIENCE`].

mod daemon;
mod files;
mod run;
mod trio;

use std::{future::Future, time::Duration};

pub use daemon::Daemon;
pub use files::{bomb, letters, psnr_db, scene};
pub use run::{Finished, loopback, loopback_under, program, run};
pub use trio::{Flags, Key, Trio};

/// Longer than anything takes on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits, but not forever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}
