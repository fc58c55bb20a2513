//! When a person or the system asks the worker to stop.

use std::future::Future;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::AtWork;
use crate::output::Output;

/// A future that ends when SIGINT or SIGTERM arrives. A second one ends the process at once, and says
/// what is left: the leases of what runs then expire, and other workers take the jobs over.
///
/// # Errors
/// The system allows no handler.
pub(crate) fn asked_to_stop(at_work: AtWork) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if let Some(left) = at_work.left() {
                Output::last_words(&left);
            }
            std::process::exit(1);
        });
    })
}
