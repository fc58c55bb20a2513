//! Disks that fail or are full: what was acknowledged is there, what was not may be repeated.

use std::collections::BTreeSet;
use std::io::{BufRead, Write as _};
use std::path::Path;
use std::process::Command;

use longshore_core::{ErrorKind, JobState, Store, StoreError};
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::child::{can, can_in_ci, child_under, command, given_file, shell};
use crate::support::{Folder, complete, job, open, try_claim};

/// Jobs that a child enqueues and completes.
const JOBS: usize = 40;

/// A command whose system calls `calls` fail with `error`, at the times that `when` says
/// (`3`: the third; `3+`: from the third on; `2+3`: the second and every third after it; counted
/// for each thread on its own), on the file `only` or on any.
fn faulty(calls: &str, error: &str, when: &str, only: Option<&Path>) -> Command {
    let mut strace = command("strace", &["-f", "-qq", "-e", "signal=none"]);
    strace.args(["-o", "/dev/null"]);
    if let Some(path) = only {
        strace.arg("-P").arg(path);
    }
    strace.args(["-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:error={error}:when={when}")]);
    strace.arg("--");
    strace
}

fn can_fault() -> bool {
    let mut probe = faulty("fsync", "EIO", "1000", None);
    probe.arg("true");
    can_in_ci("make system calls fail (Debian package strace)", probe)
}

/// Repeats a call for as long as the store is unavailable; any other error is a failed test.
async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let mut tries = 0;
    loop {
        let error = match call().await {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        tries += 1;
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
        assert!(text.contains("jobs.db: the disk"), "{text}");
        assert!(tries < 200, "the store never came back: {text}");
        say(&format!("unavailable={text}"));
    }
}

#[expect(clippy::print_stdout, reason = "the parent process reads it")]
fn say(text: &str) {
    println!("\n{text}");
    std::io::stdout().flush().unwrap();
}

/// Enqueues jobs and completes them, each call repeated until it is acknowledged.
#[tokio::test]
async fn part_insist() {
    let Some(file) = given_file() else { return };
    let file = Path::new(&file);
    let store = insist(async || SqliteStore::open(SqliteOptions::at(file))).await;
    for number in 0..JOBS {
        // With the larger ones the log is copied back into the file now and then.
        let size = if number % 2 == 0 { 10 } else { 1 << 20 };
        let new = job(format!("job-{number}").parse().unwrap(), vec![b'x'; size]);
        let answers = insist(async || store.enqueue(vec![new.clone()]).await).await;
        say(&format!("id={}", answers[0].as_ref().unwrap().id()));
        let claimed = insist(async || try_claim(&store, 1).await).await;
        let settlements = vec![complete(&claimed[0])];
        for settled in insist(async || store.settle(settlements.clone()).await).await {
            // The first try may have taken effect.
            let lost = |error: &StoreError| error.kind() == ErrorKind::LeaseLost;
            assert!(settled.is_ok() || settled.as_ref().is_err_and(lost));
        }
        say(&format!("done={}", claimed[0].job.id));
    }
    say("all");
}

/// Enqueues until a call is refused for good.
#[tokio::test]
async fn part_fill() {
    let Some(file) = given_file() else { return };
    let store = open(Path::new(&file));
    for number in 0.. {
        let id = format!("job-{number}").parse().unwrap();
        match store.enqueue(vec![job(id, vec![b'x'; 10_000])]).await {
            Ok(answers) => say(&format!("id={}", answers[0].as_ref().unwrap().id())),
            Err(error) => return say(&format!("{}={error}", error.kind().as_str())),
        }
    }
}

/// What a child has printed after `key=`.
fn told(lines: &[String], key: &str) -> Vec<String> {
    let value = |line: &String| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    lines.iter().filter_map(value).collect()
}

/// All that a child prints until it ends.
fn output_of(program: Command, part: &str, file: &Path) -> Vec<String> {
    let (mut child, output) = child_under(program, part, file);
    let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{lines:#?}");
    lines
}

#[tokio::test]
async fn a_disk_that_fails_now_and_then_loses_nothing() {
    if !can_fault() {
        return;
    }
    for (calls, error, when) in [
        ("fsync,fdatasync", "EIO", "3+13"),
        ("fsync,fdatasync", "ENOSPC", "7+13"),
        ("pwrite64", "EIO", "5+997"),
        ("pwrite64", "ENOSPC", "5+997"),
    ] {
        let folder = Folder::new();
        let program = faulty(calls, error, when, None);
        let lines = output_of(program, "disk::part_insist", &folder.file());
        let context = format!("{calls} {error} {when}: {lines:#?}");
        assert!(!told(&lines, "unavailable").is_empty(), "{context}");
        assert_eq!(told(&lines, "done").len(), JOBS, "{context}");
        let store = folder.store();
        let page = store.list(&Default::default(), None, 500).await.unwrap();
        let ids: BTreeSet<_> = page.jobs.iter().map(|job| job.id.to_string()).collect();
        assert_eq!(ids, told(&lines, "id").into_iter().collect(), "{context}");
        let done = |job: &longshore_core::Job| job.state == JobState::Completed;
        assert!(page.jobs.iter().all(done), "{context}");
        let completed = u64::try_from(JOBS).unwrap();
        assert_eq!(store.queue_stats().await.unwrap()[0].completed, completed);
        assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
    }
}

#[tokio::test]
async fn a_disk_that_fails_for_good_refuses_and_keeps_what_it_has() {
    if !can_fault() {
        return;
    }
    let folder = Folder::new();
    drop(folder.store());
    let program = faulty("fsync,fdatasync", "EIO", "20+", None);
    let lines = output_of(program, "disk::part_fill", &folder.file());
    let refused = told(&lines, "unavailable");
    assert_eq!(refused.len(), 1, "{lines:#?}");
    assert!(refused[0].contains("jobs.db: the disk"), "{lines:#?}");
    are_there(&folder, &told(&lines, "id")).await;
}

/// A log that cannot be copied back grows, and that is all.
#[tokio::test]
async fn a_file_that_cannot_be_written_beside_its_log_loses_nothing() {
    if !can_fault() {
        return;
    }
    let folder = Folder::new();
    drop(folder.store());
    let program = faulty("pwrite64", "EIO", "1+", Some(&folder.file()));
    let lines = output_of(program, "disk::part_insist", &folder.file());
    assert_eq!(told(&lines, "done").len(), JOBS, "{lines:#?}");
    are_there(&folder, &told(&lines, "id")).await;
}

/// All of `ids` are stored, and at most one job more: that of the call whose outcome is unknown.
async fn are_there(folder: &Folder, ids: &[String]) {
    let store = folder.store();
    assert!(ids.len() > 3, "{ids:?}");
    for id in ids {
        let id = id.parse().unwrap();
        assert!(store.get(&id).await.unwrap().is_some(), "{id:?} is lost");
    }
    let page = store.list(&Default::default(), None, 1000).await.unwrap();
    assert!(page.jobs.len() <= ids.len() + 1);
    assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_refuses_and_keeps_what_there_is() {
    let folder = Folder::new();
    // 512 KiB; signal 25, SIGXFSZ, would end the process.
    let program = shell("ulimit -f 1024 && trap '' 25 && exec \"$@\"");
    let lines = output_of(program, "disk::part_fill", &folder.file());
    let refused = told(&lines, "unavailable");
    assert_eq!(refused.len(), 1, "{lines:#?}");
    assert!(refused[0].contains("has room"), "{lines:#?}");
    are_there(&folder, &told(&lines, "id")).await;
}

/// Fills the disk it is on, then makes room.
#[tokio::test]
async fn part_fill_a_disk() {
    let Some(file) = given_file() else { return };
    let file = Path::new(&file);
    let ballast = file.with_file_name("ballast");
    std::fs::write(&ballast, vec![b'x'; 1 << 20]).unwrap();
    let store = open(file);
    let mut ids = Vec::new();
    let (refused, error) = loop {
        let id: longshore_core::JobId = format!("job-{}", ids.len()).parse().unwrap();
        let new = job(id.clone(), vec![b'x'; 100_000]);
        match store.enqueue(vec![new.clone()]).await {
            Ok(_) => ids.push(id),
            Err(error) => break (new, error),
        }
    };
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
    assert!(
        text.contains("jobs.db: the disk") && text.contains("full"),
        "{text}"
    );
    assert!(ids.len() > 10, "{}", ids.len());
    for id in &ids {
        assert!(store.get(id).await.unwrap().is_some());
    }
    // No room for a second store either.
    let other = file.with_file_name("other.db");
    let _partly = std::fs::write(file.with_file_name("rest"), vec![b'x'; 1 << 20]);
    let error = SqliteStore::open(SqliteOptions::at(&other)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("other.db: the disk"), "{error}");

    std::fs::remove_file(ballast).unwrap();
    store.enqueue(vec![refused]).await.unwrap()[0]
        .as_ref()
        .unwrap();
    let mut claimed = 0;
    while let Some(one) = try_claim(&store, 1).await.unwrap().first() {
        claimed += 1;
        store.settle(vec![complete(one)]).await.unwrap()[0]
            .as_ref()
            .unwrap();
    }
    assert_eq!(claimed, ids.len() + 1);
    assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
    say("all");
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_once_there_is_room() {
    let folder = Folder::new();
    let mounted = |words: &[&str]| {
        let script = "mount -t tmpfs -o size=4m longshore \"$0\" && exec \"$@\"";
        let mut unshare = command("unshare", &["-rm", "sh", "-c", script]);
        unshare.arg(folder.file().parent().unwrap()).args(words);
        unshare
    };
    if !can("mount a small disk (user namespaces)", mounted(&["true"])) {
        return;
    }
    let lines = output_of(mounted(&[]), "disk::part_fill_a_disk", &folder.file());
    assert!(lines.iter().any(|line| line == "all"), "{lines:#?}");
}
