//! The guard's own side: it listens until its worker is gone, then stops what the worker left.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::super::exec::stop_group;
use crate::exit::Exit;
use crate::output::Output;

/// Most bytes of a line: a sign and a process id.
const LINE_BYTES: u64 = 32;

/// When a process started, in the kernel's own count; `None` where there is no `/proc`.
type StartedAt = Option<u64>;

/// The groups that may have to be stopped.
#[derive(Debug, Default)]
struct Groups(BTreeMap<i32, StartedAt>);

/// Listens on stdin until it ends, then stops the groups that are still registered.
///
/// # Errors
/// The worker cannot be told that the guard is there.
pub(crate) async fn watch(output: &Output, grace: Duration) -> anyhow::Result<Exit> {
    // Fails only for the leader of a group, which already stands apart.
    let _own_session = rustix::process::setsid();
    // A service manager may send these to every process of the service; the worker needs its
    // guard most while it winds down.
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ] {
        let _ignored_from_now_on = signal(kind)?;
    }
    output.data("ready")?;
    let groups = Groups::told_by(io::stdin().lock(), started_at);
    let mut stopping = tokio::task::JoinSet::new();
    for group in groups.still_there(started_at) {
        stopping.spawn(stop_group(group, grace));
    }
    while stopping.join_next().await.is_some() {}
    Ok(Exit::Done)
}

impl Groups {
    /// What the lines `+GROUP` and `-GROUP` leave when they end.
    fn told_by(mut lines: impl BufRead, started_at: impl Fn(i32) -> StartedAt) -> Self {
        let mut groups = Self::default();
        loop {
            let mut line = Vec::new();
            match lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(1..) => groups.take_line(&line, &started_at),
                Ok(0) | Err(_) => return groups,
            }
        }
    }

    fn take_line(&mut self, line: &[u8], started_at: impl Fn(i32) -> StartedAt) {
        let Some((sign, number)) = line.trim_ascii_end().split_first() else {
            return;
        };
        let number = std::str::from_utf8(number).ok();
        let group = number.and_then(|number| number.parse().ok());
        let Some(group) = group.filter(|group| *group > 0) else {
            return;
        };
        match sign {
            b'+' => {
                self.0.insert(group, started_at(group));
            }
            b'-' => {
                self.0.remove(&group);
            }
            _ => {}
        }
    }

    /// The groups whose number nobody else has got since. While any process of a group lives, its
    /// number is not given out; so a leader that started at another time is a stranger.
    fn still_there(&self, started_at: impl Fn(i32) -> StartedAt) -> Vec<Pid> {
        let same = |(group, then): (&i32, &StartedAt)| match (then, started_at(*group)) {
            (Some(then), Some(now)) if *then != now => None,
            _ => Pid::from_raw(*group),
        };
        self.0.iter().filter_map(same).collect()
    }
}

/// The 22nd field of `/proc/PID/stat`, counted after the name, which may hold anything.
fn started_at(pid: i32) -> StartedAt {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(lines: &str, then: StartedAt, now: StartedAt) -> Vec<i32> {
        let groups = Groups::told_by(lines.as_bytes(), |_| then).still_there(|_| now);
        let raw = |group: Pid| group.as_raw_nonzero().get();
        groups.into_iter().map(raw).collect()
    }

    #[test]
    fn only_what_is_still_registered_is_left() {
        assert_eq!(left("+11\n+12\n+13\n-12\n", Some(1), Some(1)), [11, 13]);
        assert_eq!(left("+11\n-11\n+11\n", Some(1), Some(1)), [11]);
        assert_eq!(left("", Some(1), Some(1)), [0; 0]);
    }

    #[test]
    fn a_number_that_somebody_else_has_got_is_left_alone() {
        assert_eq!(left("+11\n", Some(1), Some(2)), [0; 0]);
        let leader_ended = left("+11\n", Some(1), None);
        assert_eq!(leader_ended, [11], "what it started may go on");
        assert_eq!(left("+11\n", None, None), [11], "without /proc");
    }

    #[test]
    fn lines_that_make_no_sense_stop_nobody() {
        let junk = format!("\n+\n+x\n?5\n+0\n--3\n+99999999999\n{}\n", "7".repeat(5000));
        assert_eq!(left(&junk, None, None), [0; 0]);
        assert_eq!(
            left("+-4\n", None, None),
            [0; 0],
            "-4 would be another call"
        );
    }

    #[test]
    fn a_process_has_the_same_start_whoever_asks() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(started_at(own), started_at(own));
        assert_eq!(
            started_at(own).is_some(),
            std::path::Path::new("/proc/self").exists()
        );
    }
}
