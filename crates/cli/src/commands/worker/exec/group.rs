//! The process group of a program.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::sleep;

use super::super::guard::Registered;

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
    registered: Option<Registered>,
}

impl Group {
    /// The group of this leader, which the guard knows of until it is gone.
    pub(super) fn led_by(leader: Option<Pid>, registered: Option<Registered>) -> Self {
        Self { leader, registered }
    }

    /// SIGTERM to all of it, SIGKILL to what is left after the grace; returns when it is gone.
    pub(super) async fn stop(mut self) {
        if let Some(leader) = self.leader.take() {
            Stopping::begin(leader, self.registered.take())
                .end(GRACE)
                .await;
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
        let stopping = Stopping::begin(leader, self.registered.take());
        // Without a runtime, dropping `stopping` kills at once.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(stopping.end(GRACE));
        }
    }
}

/// A group on its way out; whoever drops it early kills the group.
struct Stopping {
    leader: Pid,
    gone: bool,
    /// Dropped last, so that the guard forgets a group only once it is gone.
    _registered: Option<Registered>,
}

impl Stopping {
    fn begin(leader: Pid, registered: Option<Registered>) -> Self {
        STOPPING.fetch_add(1, Ordering::Relaxed);
        let gone = kill_process_group(leader, Signal::TERM).is_err();
        Self {
            leader,
            gone,
            _registered: registered,
        }
    }

    async fn end(mut self, grace: Duration) {
        let looks = grace.as_millis() / LOOK.as_millis();
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

/// SIGTERM to a group that no [`Group`] stands for, SIGKILL to what is left after the grace.
pub(crate) async fn stop_group(leader: Pid, grace: Duration) {
    Stopping::begin(leader, None).end(grace).await;
}

/// Waits until no group is on its way out.
pub(crate) async fn all_gone() {
    while STOPPING.load(Ordering::Relaxed) > 0 {
        sleep(LOOK).await;
    }
}
