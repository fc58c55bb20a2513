//! Sealing that is killed for real, and a disk that is full for real: what was acknowledged is found
//! afterwards, each span once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use longshore_core::{Random, SystemRandom};
use longshore_spanlog::Class;
use longshore_tracestore::{Sealer, TraceStore, TraceStoreError, TraceStoreOptions, Upkeep};

use crate::sealed::{at_once, files, now, upkeep};
use crate::support::{Folder, Log, ids, job, log_in, span, trace};

/// The folder in which a child process works.
const FOLDER: &str = "LONGSHORE_TRACESTORE_TEST_KILLED";
/// How many children are killed one after the other.
const KILLS: u64 = 6;

/// What is sealed at once, in turns that are over soon.
fn little() -> Upkeep {
    Upkeep {
        max_bytes_per_turn: 8 << 10,
        ..at_once()
    }
}

#[expect(clippy::print_stdout, reason = "the parent process reads it")]
fn say(text: &str) {
    println!("\n{text}");
    std::io::stdout().flush().unwrap();
}

/// Writes a trace, and says which spans of it are to be found from then on.
fn write(log: &mut Log, random: u64) {
    let number = u128::from(SystemRandom.next_u64()) | 1 << 64;
    let spans = job(number, "j", 0, false);
    let expected = match random % 4 {
        0 => {
            log.append(Class::Base, &spans);
            vec![1, 2, 3]
        }
        1 => {
            log.append(Class::Base, &spans[..1]);
            log.append(Class::Kept, &spans[1..]);
            vec![1, 2, 3]
        }
        2 => {
            log.hold(random, &spans);
            if random.is_multiple_of(3) {
                log.writer.rotate();
            }
            log.release(random, &[spans[0].clone(), span(number, 9, Some(1), 0, 1)]);
            vec![1, 9]
        }
        _ => {
            log.hold(random, &spans);
            // Said by nobody yet; whoever dies now leaves all three.
            log.release(random, &spans[..2]);
            vec![1, 2]
        }
    };
    say(&format!("trace={number:032x} {expected:?}"));
}

/// Writes and seals until it is killed; run by the test below.
#[test]
fn part_write_and_seal() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    // The writer is a few turns ahead, so that there is always something to seal and never much.
    let (turned, turns) = sync_channel::<()>(2);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut sealer = Sealer::new([folder]);
            loop {
                sealer.turn(&little(), now()).unwrap();
                if turned.send(()).is_err() {
                    return;
                }
            }
        });
        for round in 0..100_u64 {
            let mut log = log_in(folder, "shop");
            for step in 0..6 {
                write(&mut log, round * 7 + step);
                if step == 2 {
                    log.writer.rotate();
                }
            }
            turns.recv().unwrap();
        }
        drop(turns);
    });
    say("over");
}

/// Runs a part of this test binary in a process of its own.
fn part(name: &str, folder: &Path) -> Command {
    let mut part = Command::new(std::env::current_exe().unwrap());
    part.args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder);
    part
}

/// A line as [`write`] says it.
fn acknowledged(line: &str) -> Option<(u128, Vec<u64>)> {
    let (number, spans) = line.strip_prefix("trace=")?.split_once(' ')?;
    let spans = spans.trim_matches(['[', ']']).split(", ");
    let spans = spans.map(|span| span.parse().unwrap()).collect();
    Some((u128::from_str_radix(number, 16).ok()?, spans))
}

fn check(store: &TraceStore, expected: &BTreeMap<u128, Vec<u64>>, when: &str) {
    for (number, spans) in expected {
        let found = store.trace(trace(*number)).unwrap().unwrap_or_default();
        assert_eq!(ids(&found), *spans, "{when}: {number:032x}");
    }
}

#[test]
fn whoever_is_killed_while_sealing_loses_nothing_and_leaves_nothing_twice() {
    let folder = Folder::new();
    let mut expected = BTreeMap::new();
    for kill in 0..KILLS {
        let mut child = part("killed::part_write_and_seal", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // So many acknowledgements on, which is another moment of sealing each time.
        let most = 5 + SystemRandom.next_u64() % 80;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let said = lines.by_ref().filter_map(|line| acknowledged(&line));
        expected.extend(said.take(usize::try_from(most).unwrap()));
        child.kill().unwrap();
        // What it had said by then counts as well.
        expected.extend(lines.filter_map(|line| acknowledged(&line)));
        child.wait().unwrap();
        check(
            &folder.store(),
            &expected,
            &format!("kill {kill} at {most}"),
        );
    }
    let store = folder.store();
    while upkeep(&store, &at_once()).more {}
    assert_eq!(files(&folder, ".spans").len(), 0);
    check(&store, &expected, "at the end");
    check(&folder.store(), &expected, "read anew");
    let spans: usize = expected.values().map(Vec::len).sum();
    assert!(spans > 100, "{spans}");
}

/// Fills a small disk with spans, and seals on it; run by the test below.
#[test]
fn part_seal_on_a_full_disk() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let mut log = log_in(folder, "shop");
    let mut number = 0;
    while number < 400 {
        number += 1;
        log.append(Class::Base, &job(number, "j", 0, false));
    }
    drop(log);
    let ballast = folder.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    while file.write_all(&[7]).is_ok() {}
    drop(file);
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    let failed = store.upkeep(&at_once(), now()).unwrap_err();
    let source = std::error::Error::source(&failed).map(ToString::to_string);
    assert!(
        matches!(
            failed,
            TraceStoreError::Seal { .. } | TraceStoreError::Sealed { .. } | TraceStoreError::Log(_)
        ),
        "{failed:?}"
    );
    assert!(
        format!("{failed:?}{source:?}").contains("No space left"),
        "{failed:?}"
    );
    assert_eq!(store.holdings().traces, 400);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.upkeep(&at_once(), now()).unwrap().sealed_spans, 1_200);
    for number in 1..=400 {
        assert_eq!(
            ids(&store.trace(trace(number)).unwrap().unwrap()),
            [1, 2, 3]
        );
    }
    say("over");
}

#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn sealing_on_a_disk_that_is_full_loses_nothing_and_goes_on_once_there_is_room() {
    let folder = Folder::new();
    let mounted = || {
        let script = "mount -t tmpfs -o size=2m longshore \"$0\" && exec \"$@\"";
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "sh", "-c", script]).arg(folder.path());
        unshare
    };
    if !mounted()
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("skipped, since this machine cannot mount a small disk (user namespaces)");
        return;
    }
    let own = part("killed::part_seal_on_a_full_disk", folder.path());
    let output = mounted()
        .arg(own.get_program())
        .args(own.get_args())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("over"), "{said}");
}
