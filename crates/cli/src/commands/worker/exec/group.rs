//! The process group of a program.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;
use tokio::time::sleep;

/// How long a group may go on after SIGTERM before SIGKILL.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// How often to look whether a group is gone; nothing tells of the end of a grandchild.
const LOOK: Duration = Duration::from_millis(20);

/// Groups that were asked to stop and may still be there.
static STOPPING: AtomicUsize = AtomicUsize::new(0);

/// A group that is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// The group that a child was started as the leader of.
    pub(super) fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            leader: id.and_then(Pid::from_raw),
        }
    }

    /// SIGTERM to all of it, SIGKILL to what is left after the grace; returns when it is gone.
    pub(super) async fn stop(mut self) {
        if let Some(leader) = self.leader.take() {
            Stopping::begin(leader).end().await;
        }
    }

    /// The same, without waiting for it.
    pub(super) fn stop_in_background(self) {
        drop(self);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.leader.take() else {
            return;
        };
        if test_kill_process_group(leader).is_err() {
            return;
        }
        let stopping = Stopping::begin(leader);
        // Without a runtime, dropping `stopping` kills at once.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(stopping.end());
        }
    }
}

/// A group on its way out; whoever drops it early kills the group.
struct Stopping {
    leader: Pid,
    gone: bool,
}

impl Stopping {
    fn begin(leader: Pid) -> Self {
        STOPPING.fetch_add(1, Ordering::Relaxed);
        let gone = kill_process_group(leader, Signal::TERM).is_err();
        Self { leader, gone }
    }

    async fn end(mut self) {
        let looks = GRACE.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            if self.gone {
                return;
            }
            sleep(LOOK).await;
            self.gone = test_kill_process_group(self.leader).is_err();
        }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if !self.gone {
            let _already_gone = kill_process_group(self.leader, Signal::KILL);
        }
        STOPPING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until no group is on its way out.
pub(crate) async fn all_gone() {
    while STOPPING.load(Ordering::Relaxed) > 0 {
        sleep(LOOK).await;
    }
}
