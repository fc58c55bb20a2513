//! Silence while what is logged is made fit to leave.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<bool> = const { Cell::new(false) };
}

/// As long as it lives, what this thread logs is passed over. A redactor of the application may log
/// itself, and would be asked about that, and log again, without end.
#[derive(Debug)]
pub(super) struct Quiet(());

impl Quiet {
    pub(super) fn keep() -> Self {
        KEPT.set(true);
        Self(())
    }

    pub(super) fn is_kept() -> bool {
        KEPT.get()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        KEPT.set(false);
    }
}
