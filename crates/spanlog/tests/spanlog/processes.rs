//! Several processes and threads, some of which are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use longshore_core::{Clock, SystemClock, SystemRandom};
use longshore_spanlog::{
    Class, Policy, Reader, Scope, Shipping, Writer, WriterId, WriterOptions, sweep,
};

use crate::support::{Folder, append, header};

/// Names the folder to this program when it runs as the child of itself.
const FOLDER: &str = "LONGSHORE_SPANLOG_TEST_FOLDER";

fn folder_of_parent() -> Option<OsString> {
    std::env::var_os(FOLDER)
}

/// Runs one test of this program in a process of its own.
fn child(test: &str, folder: &Folder, shell: Option<&str>) -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().unwrap();
    let mut command = match shell {
        Some(script) => {
            let mut command = Command::new("sh");
            command.args(["-c", script]).arg(program);
            command
        }
        None => Command::new(program),
    };
    let mut child = command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// Says something to the parent, which may be gone already. The test runner has begun the first
/// line.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    let _gone = writeln!(output, "\n{line}").and_then(|()| output.flush());
}

/// What a child said, without what the test runner adds.
fn said(output: &mut BufReader<ChildStdout>) -> impl Iterator<Item = (String, String)> {
    output.lines().map_while(Result::ok).filter_map(|line| {
        let (word, rest) = line.split_once(' ')?;
        let ours = ["appended", "failed", "sent"].contains(&word);
        ours.then(|| (word.to_owned(), rest.to_owned()))
    })
}

fn open(folder: &Path, options: WriterOptions) -> Writer {
    Writer::open(folder, options, Arc::new(SystemClock::new()), &SystemRandom).unwrap()
}

fn small_files() -> WriterOptions {
    WriterOptions {
        max_file_bytes: 64 << 10,
        ..WriterOptions::default()
    }
}

/// A body that says its number and cannot be mistaken for another.
fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(2048, u8::try_from(number % 251).unwrap());
    body
}

fn number_of(body: &[u8]) -> u64 {
    let number = u64::from_le_bytes(*body.first_chunk().unwrap());
    assert_eq!(body, self::body(number));
    number
}

#[test]
fn child_appends_until_it_is_killed() {
    let Some(folder) = folder_of_parent() else {
        return;
    };
    let mut writer = open(Path::new(&folder), small_files());
    for number in 0.. {
        append(&mut writer, &body(number));
        say(&format!("appended {number}"));
    }
}

#[test]
fn what_a_killed_writer_appended_is_there() {
    for round in 0..5 {
        let folder = Folder::new();
        let mut reader = Reader::open(folder.path()).unwrap();
        let (mut child, mut output) =
            child("processes::child_appends_until_it_is_killed", &folder, None);
        let mut seen = Vec::new();
        let mut acknowledged = None;
        for (_, number) in said(&mut output).take(40 + round * 37) {
            acknowledged = Some(number.parse::<u64>().unwrap());
            while let Some(frame) = reader.next_frame().unwrap() {
                seen.push(number_of(&frame.body));
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for (_, number) in said(&mut output) {
            acknowledged = Some(number.parse::<u64>().unwrap());
        }
        while let Some(frame) = reader.next_frame().unwrap() {
            seen.push(number_of(&frame.body));
        }
        let all: Vec<u64> = (0..seen.len() as u64).collect();
        assert_eq!(seen, all, "without gaps, in order");
        assert!(seen.last().copied() >= acknowledged && acknowledged.is_some());
        assert_eq!(reader.counts().damaged_bytes, 0);
        let again: Vec<u64> = folder.bodies().iter().map(|body| number_of(body)).collect();
        assert_eq!(again, seen);
    }
}

#[test]
fn child_sweeps_until_it_is_killed() {
    let Some(folder) = folder_of_parent() else {
        return;
    };
    let folder = Path::new(&folder);
    let begin = Reader::open(folder).unwrap();
    let first = count_of(begin);
    for number in first.. {
        append(&mut open(folder, small_files()), &body(number));
        say(&format!("appended {number}"));
        let now = SystemClock::new().now();
        sweep(folder, &Policy::default(), now).unwrap();
    }
}

fn count_of(mut reader: Reader) -> u64 {
    let frames = std::iter::from_fn(|| reader.next_frame().unwrap());
    frames.count() as u64
}

/// Small files are put together, and whoever does it dies: each frame is there, once, to those who
/// were reading and to those who come.
#[test]
fn what_a_killed_sweep_was_at_is_there_once() {
    let folder = Folder::new();
    let mut tail = Reader::open(folder.path()).unwrap();
    let mut tailed = BTreeSet::new();
    for round in 0..6 {
        let (mut child, mut output) =
            child("processes::child_sweeps_until_it_is_killed", &folder, None);
        let mut acknowledged = None;
        for (_, number) in said(&mut output).take(63 + round * 2) {
            acknowledged = Some(number.parse::<u64>().unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(frame) = tail.next_frame().unwrap() {
            assert!(tailed.insert(number_of(&frame.body)), "it is given once");
        }
        let mut found: Vec<u64> = folder.bodies().iter().map(|body| number_of(body)).collect();
        found.sort_unstable();
        let all: Vec<u64> = (0..found.len() as u64).collect();
        assert_eq!(found, all, "without gaps, each once");
        assert_eq!(Vec::from_iter(tailed.iter().copied()), all);
        assert!(found.last().copied() >= acknowledged && acknowledged.is_some());
        assert_eq!(tail.counts().vanished_files, 0);
    }
    assert!(folder.names().len() < 400, "{:?}", folder.names());
}

#[test]
fn child_appends_ten_thousand_frames() {
    let Some(folder) = folder_of_parent() else {
        return;
    };
    let mut writer = open(Path::new(&folder), small_files());
    for number in 0..10_000 {
        append(&mut writer, &body(number));
    }
    say("appended 10000");
}

/// Reads until the writers are done and nothing is left. Says how many frames each of them wrote.
fn follow(folder: &Folder, done: &AtomicBool) -> BTreeMap<WriterId, u64> {
    let mut reader = Reader::open(folder.path()).unwrap();
    let mut next: BTreeMap<WriterId, u64> = BTreeMap::new();
    loop {
        let over = done.load(Ordering::SeqCst);
        while let Some(frame) = reader.next_frame().unwrap() {
            let expected = next.entry(frame.position.file.writer()).or_default();
            assert_eq!(number_of(&frame.body), *expected);
            *expected += 1;
        }
        if over {
            assert_eq!(reader.counts(), Default::default());
            return next;
        }
        thread::yield_now();
    }
}

#[test]
fn readers_follow_writers_in_other_processes() {
    let folder = Folder::new();
    let done = AtomicBool::new(false);
    let mut children: Vec<_> = (0..2)
        .map(|_| {
            child(
                "processes::child_appends_ten_thousand_frames",
                &folder,
                None,
            )
        })
        .collect();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| follow(&folder, &done)))
            .collect();
        let said: Vec<_> = children
            .iter_mut()
            .map(|(_, output)| said(output).count())
            .collect();
        let ended = children
            .iter_mut()
            .map(|(child, _)| child.wait().unwrap().success());
        let ended: Vec<_> = ended.collect();
        done.store(true, Ordering::SeqCst);
        assert_eq!((said, ended), (vec![1, 1], vec![true, true]));
        for reader in readers {
            let read = reader.join().unwrap();
            assert_eq!(read.into_values().collect::<Vec<_>>(), [10_000, 10_000]);
        }
    });
}

#[test]
fn threads_append_and_read_at_the_same_time() {
    let folder = Folder::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| follow(&folder, &done));
        let write = || {
            let mut writer = open(folder.path(), small_files());
            for number in 0..2000 {
                append(&mut writer, &body(number));
            }
        };
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(write)).collect();
        let ended: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().is_ok())
            .collect();
        done.store(true, Ordering::SeqCst);
        assert_eq!(ended, [true; 3]);
        let read = reader.join().unwrap();
        assert_eq!(read.into_values().collect::<Vec<_>>(), [2000; 3]);
    });
}

#[cfg(unix)]
#[test]
fn child_appends_where_files_may_not_grow() {
    let Some(folder) = folder_of_parent() else {
        return;
    };
    let mut writer = open(Path::new(&folder), WriterOptions::default());
    for number in 0..100 {
        match writer.append(&header(Class::Base, 1), &body(number)) {
            Ok(_) => say(&format!("appended {number}")),
            Err(error) => say(&format!("failed {}", error.reason())),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_the_system_does_not_let_grow_loses_what_the_writer_was_told() {
    let folder = Folder::new();
    // Blocks of 512 bytes: room for 15 frames in a file. The signal would end the process.
    let script = "trap '' XFSZ; ulimit -f 63; exec \"$0\" \"$@\"";
    let test = "processes::child_appends_where_files_may_not_grow";
    let (mut child, mut output) = child(test, &folder, Some(script));
    let said: Vec<_> = said(&mut output).collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(said.len(), 100);
    let (failed, appended): (Vec<_>, Vec<_>) =
        said.into_iter().partition(|(word, _)| word == "failed");
    assert!(failed.len() >= 3, "{failed:?}");
    assert!(
        failed.iter().all(|(_, reason)| reason == "disk_full"),
        "{failed:?}"
    );
    let appended: Vec<u64> = appended
        .iter()
        .map(|(_, number)| number.parse().unwrap())
        .collect();
    let (frames, counts) = folder.read();
    let read: Vec<u64> = frames.iter().map(|frame| number_of(&frame.body)).collect();
    assert_eq!(read, appended);
    assert_eq!(counts, Default::default());
}

#[test]
fn child_ships_until_it_is_killed() {
    let Some(folder) = folder_of_parent() else {
        return;
    };
    let mut shipping = Shipping::open(Path::new(&folder), None, Scope::Orphans);
    loop {
        shipping.claim().unwrap();
        while let Some(frame) = shipping.next_frame().unwrap() {
            let number = number_of(&frame.body);
            shipping.delivered(frame.end);
            say(&format!("sent {number}"));
            if number % 10 == 9 {
                shipping.save().unwrap();
            }
        }
        thread::yield_now();
    }
}

#[test]
fn who_takes_over_from_a_killed_exporter_goes_on_where_it_was() {
    let folder = Folder::new();
    let mut writer = open(folder.path(), small_files());
    for number in 0..500 {
        append(&mut writer, &body(number));
    }
    drop(writer);
    let (mut child, mut output) = child("processes::child_ships_until_it_is_killed", &folder, None);
    let mut sent: Vec<u64> = said(&mut output)
        .take(123)
        .map(|(_, number)| number.parse().unwrap())
        .collect();
    let mut heir = Shipping::open(folder.path(), None, Scope::Orphans);
    assert!(
        heir.claim().unwrap().taken.is_empty(),
        "the other one is alive"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    sent.extend(said(&mut output).map(|(_, number)| number.parse::<u64>().unwrap()));
    assert_eq!(heir.claim().unwrap().taken.len(), 1);
    let mut taken_over = Vec::new();
    while let Some(frame) = heir.next_frame().unwrap() {
        taken_over.push(number_of(&frame.body));
    }
    let first = *taken_over.first().unwrap();
    assert!(
        first > 0 && first % 10 == 0,
        "where the position was stored last, not at {first}"
    );
    assert!(sent.iter().filter(|number| **number >= first).count() <= 20);
    let all: BTreeSet<u64> = sent.into_iter().chain(taken_over).collect();
    assert_eq!(all, (0..500).collect());
}

#[test]
fn the_clock_of_a_writer_names_its_files() {
    let folder = Folder::new();
    let clock = Arc::new(SystemClock::new());
    let before = u64::try_from(clock.now().unix_millis()).unwrap();
    let mut writer = open(folder.path(), WriterOptions::default());
    let created = append(&mut writer, b"").file.created_millis();
    assert!(created >= before);
    assert_eq!(writer.id().process(), std::process::id());
}
