//! SIGINT, SIGTERM and SIGHUP: noted, so that whoever works comes to an end and undoes what it did.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Takes the signals from now on.
pub(crate) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| REQUESTED.store(true, Ordering::Release))
}

/// An error once one came, for work that takes long.
pub(crate) fn check() -> std::io::Result<()> {
    if requested() { Err(std::io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// Whether one came.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Acquire)
}
