//! `traces`, and the story that `jobs show` draws.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{SystemClock, SystemRandom, Timestamp};
use longshore_queue::{JobRequest, Producer};
use longshore_spanlog::{Class, Compression, FrameHeader, Kind, Writer, WriterOptions};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_telemetry::{Config, Environment, Telemetry};

use crate::shell::{Answer, Shell};

/// A shell with a job that failed for good and one that was completed, by their ids.
pub(crate) fn shop() -> (Shell, String, String) {
    let shell = Shell::new();
    let failed = shell.enqueue(&["q", "charge", "--max-attempts", "1"]);
    let completed = shell.enqueue(&["q", "pack"]);
    let program = "if [ $LONGSHORE_KIND = charge ]; then echo 'the bank is closed' >&2; exit 7; fi";
    let drained = shell.drain(program);
    assert_eq!(drained.code, 3, "{}", drained.err);
    (shell, failed, completed)
}

/// The trace of a job.
pub(crate) fn trace_of(shell: &Shell, job: &str) -> String {
    let record = shell.job(job);
    record["trace"]["trace_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_search_lists_what_it_finds() {
    let (shell, failed, _) = shop();
    let trace = trace_of(&shell, &failed);
    let all = shell.run(&["traces", "list", "--json"]).json();
    assert_eq!(all["traces"].as_array().unwrap().len(), 2, "{all}");
    let found = shell.run(&["traces", "list", "queue=q", "error"]);
    assert_eq!(found.code, 0, "{}", found.err);
    let lines: Vec<&str> = found.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", found.out);
    assert!(lines[1].starts_with(&trace), "{}", found.out);
    for word in ["charge", "exit_7"] {
        assert!(lines[1].contains(word), "{word}: {}", found.out);
    }
    let none = shell.run(&["traces", "list", "kind=nothing"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
    assert!(none.err.contains("No trace matches"), "{}", none.err);
}

#[test]
fn a_search_that_cannot_be_read_is_bad_usage_and_names_the_nearest_key() {
    let (shell, ..) = shop();
    let wrong = shell.run(&["traces", "list", "ok", "queu=q"]);
    assert_eq!(wrong.code, 2);
    for said in ["`queu`", "`queue`", "character 4"] {
        assert!(wrong.err.contains(said), "{said}: {}", wrong.err);
    }
}

#[test]
fn a_trace_is_drawn_by_its_id_and_by_that_of_its_job() {
    let (shell, failed, completed) = shop();
    let by_job = shell.run(&["traces", "show", &failed, "--width", "80"]);
    let by_trace = shell.run(&[
        "traces",
        "show",
        &trace_of(&shell, &failed),
        "--width",
        "80",
    ]);
    // Where the time went, said of waits of a second and more, is told of the job and of the trace.
    let drawn = |told: &Answer| told.out.split("\n!").next().map(str::to_owned);
    assert_eq!(
        (by_job.code, drawn(&by_job)),
        (0, drawn(&by_trace)),
        "{}",
        by_job.err
    );
    for part in [
        "charge",
        "discarded",
        "queue.enqueue",
        "job.process #1",
        "exit_7",
    ] {
        assert!(by_job.out.contains(part), "{part} in {}", by_job.out);
    }
    assert!(
        by_job.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        by_job.out
    );
    let shown = shell.run(&["jobs", "show", &failed]);
    assert!(shown.out.contains("job.process #1"), "{}", shown.out);
    let story = shell.run(&["traces", "show", &completed, "--json"]).json();
    assert_eq!(story["summary"]["kind"], "pack");
    assert_eq!(story["job"]["state"], "completed");
}

#[test]
fn a_part_of_the_time_is_drawn_alone() {
    let (shell, failed, _) = shop();
    let whole = shell.run(&["traces", "show", &failed, "--as-recorded"]);
    assert_eq!(whole.code, 0, "{}", whole.err);
    let part = shell.run(&["traces", "show", &failed, "--from", "1h"]);
    assert_eq!(part.code, 0, "{}", part.err);
    assert!(part.out.contains("from +"), "{}", part.out);
    assert!(
        part.out.lines().count() < whole.out.lines().count(),
        "{}",
        part.out
    );
    let wrong = shell.run(&["traces", "show", &failed, "--from", "2s", "--to", "1s"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(
        wrong.err.contains("--from has to be less than --to"),
        "{}",
        wrong.err
    );
}

#[test]
fn a_word_that_is_no_id_is_searched_for() {
    let (shell, ..) = shop();
    let shown = shell.run(&["traces", "show", "order-2001"]);
    assert_eq!(shown.code, 1, "{}", shown.err);
    let hint = "longshore traces list order-2001";
    assert!(shown.err.contains(hint), "{}", shown.err);
}

#[test]
fn what_is_not_there_is_said_and_the_rest_is_drawn() {
    let (shell, failed, _) = shop();
    let nobody = "4bf92f3577b34da6a3ce929d0e0e4736";
    let shown = shell.run(&["traces", "show", nobody, &failed]);
    assert_eq!(shown.code, 1);
    assert!(shown.err.contains(nobody), "{}", shown.err);
    assert!(shown.out.contains("job.process #1"), "{}", shown.out);
}

#[test]
fn a_job_without_any_span_has_a_story_too() {
    let shell = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "off");
    let job = shell.enqueue(&["q", "pack"]);
    assert_eq!(shell.drain("true").code, 0);
    let shown = shell.run(&["jobs", "show", &job]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("completed"), "{}", shown.out);
    assert_eq!(shown.err, "");
}

#[test]
fn two_traces_are_compared_place_by_place() {
    let (shell, failed, completed) = shop();
    let (before, after) = (trace_of(&shell, &completed), trace_of(&shell, &failed));
    let diff = shell.run(&["traces", "diff", &before, &after]);
    assert_eq!(diff.code, 0, "{}", diff.err);
    assert!(
        diff.out.starts_with("1 trace before, 1 trace after: "),
        "{}",
        diff.out
    );
    let place = diff
        .out
        .lines()
        .find(|line| line.starts_with("job.process "));
    assert!(place.unwrap().contains("0 → 1"), "{}", diff.out);
    let tip = format!("longshore traces show {after}");
    assert!(diff.err.contains(&tip), "{}", diff.err);
    let same = shell
        .run(&["traces", "diff", &before, &before, "--json"])
        .json();
    assert_eq!(same["delta_nanos"], 0);
    // Ids in part, of traces and of jobs, and the other name of the verb.
    let parts = [&before[..12], &failed[..20]];
    let parts = shell.run(&["traces", "compare", parts[0], parts[1], "--json"]);
    let diff = shell.run(&["traces", "diff", &before, &after, "--json"]);
    assert_eq!(parts.json(), diff.json());
    let nobody = shell.run(&["traces", "diff", "4bf92f3577b34da6", &after]);
    assert_eq!(nobody.code, 1, "{}", nobody.err);
}

/// Rows of a comparison explain all of what lists show, a job's child included.
#[test]
fn the_places_of_a_comparison_add_up_to_what_lists_show() {
    let (shell, failed, completed) = shop();
    let (before, after) = (trace_of(&shell, &completed), trace_of(&shell, &failed));
    let listed = shell.run(&["traces", "list", "--json"]).json();
    let nanos = |seconds: &serde_json::Value| (seconds.as_f64().unwrap() * 1e9).round();
    let shown = |id: &str| {
        let traces = listed["traces"].as_array().unwrap();
        let trace = traces.iter().find(|trace| trace["trace_id"] == id).unwrap();
        let at = |key: &str| trace[key].as_str().unwrap().parse::<Timestamp>().unwrap();
        at("end").unix_nanos() - at("start").unix_nanos()
    };
    let diff = shell
        .run(&["traces", "diff", &before, &after, "--json"])
        .json();
    assert_eq!(diff["delta_nanos"], shown(&after) - shown(&before));
    let rows = diff["rows"].as_array().unwrap();
    let sum: i64 = rows
        .iter()
        .map(|row| row["delta_nanos"].as_i64().unwrap())
        .sum();
    assert_eq!(diff["delta_nanos"], sum);
    let critical: f64 = rows.iter().map(|row| nanos(&row["critical_after"])).sum();
    assert!((critical - nanos(&diff["duration_after"])).abs() < 1_000.0);
    assert!(diff["job_after"].as_f64() <= diff["duration_after"].as_f64());
}

#[test]
fn what_begins_is_followed() {
    let shell = Shell::new();
    // The folder of spans is there before it is followed, as after any use.
    shell.enqueue(&["q", "first"]);
    let mut tail = shell.start(&["traces", "tail", "kind=second", "--format", "json"]);
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    // It does not say when it has begun to look, so that there is always something new to see.
    let followed = std::thread::scope(|scope| {
        let followed = scope.spawn(move || lines.next().unwrap().unwrap());
        while !followed.is_finished() {
            shell.enqueue(&["q", "second"]);
        }
        followed.join().unwrap()
    });
    tail.kill().unwrap();
    tail.wait().unwrap();
    let trace: serde_json::Value = serde_json::from_str(&followed).unwrap();
    assert_eq!(trace["kind"], "second");
}

#[test]
fn a_daemon_that_is_not_there_is_named() {
    let shell = Shell::new();
    let away = shell.run(&["traces", "list", "--connect", "http://127.0.0.1:9"]);
    assert_eq!(away.code, 4, "{}", away.err);
    assert!(away.err.contains("127.0.0.1:9"), "{}", away.err);
}

#[test]
fn a_job_is_shown_though_its_traces_cannot_be_read() {
    let (shell, failed, completed) = shop();
    let shell = shell.with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans-that-are-a-file");
    shell.write("spans-that-are-a-file", "no folder");
    let shown = shell.run(&["jobs", "show", &failed, &completed]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    for id in [&failed, &completed] {
        assert!(shown.out.contains(id.as_str()), "{}", shown.out);
    }
    let warned = shown
        .err
        .lines()
        .filter(|line| line.contains("spans-that-are-a-file"));
    assert_eq!(warned.count(), 1, "{}", shown.err);
}

#[test]
fn looking_leaves_nothing_behind() {
    let (shell, failed, _) = shop();
    let shell = shell.with("LONGSHORE_TELEMETRY_SPAN_LOG", "elsewhere");
    assert_eq!(shell.run(&["traces", "list"]).code, 0);
    assert_eq!(shell.run(&["jobs", "show", &failed]).code, 0);
    assert!(!shell.folder.join("elsewhere").exists());
}

#[test]
fn claims_of_several_jobs_are_listed_if_somebody_asks_for_them() {
    let shell = Shell::new();
    for kind in ["pack", "pack", "send"] {
        shell.enqueue(&["q", kind]);
    }
    let worker = [
        "worker",
        "--queue",
        "q",
        "--concurrency",
        "3",
        "--drain",
        "--exec",
        "true",
    ];
    assert_eq!(shell.run(&worker).code, 0);
    let names = |search: &[&str]| -> Vec<String> {
        let words = [&["traces", "list", "--json"], search].concat();
        let page = shell.run(&words).json();
        let traces = page["traces"].as_array().unwrap().iter();
        traces
            .map(|trace| trace["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&["name=queue.claim"]), ["queue.claim"]);
    let all = names(&[]);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(!all.contains(&"queue.claim".to_owned()), "{all:?}");
}

#[test]
fn the_newest_traces_are_listed_however_long_the_log_before_them_is() {
    const MEBIBYTE: usize = 1 << 20;
    let shell = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans");
    let options = WriterOptions {
        max_frame_bytes: 8 * MEBIBYTE,
        ..WriterOptions::default()
    };
    let clock = Arc::new(SystemClock::new());
    let mut log = Writer::open(shell.folder.join("spans"), options, clock, &SystemRandom).unwrap();
    let header = FrameHeader {
        kind: Kind::SPANS,
        class: Class::Base,
        compression: Compression::None,
        flags: 0,
        spans: 0,
        first: Timestamp::UNIX_EPOCH,
        last: Timestamp::UNIX_EPOCH,
    };
    for _ in 0..5 {
        log.append(&header, &vec![0; 7 * MEBIBYTE]).unwrap();
    }
    drop(log);
    shell.enqueue(&["q", "pack"]);
    let listed = shell.run(&["traces", "list", "--json"]).json();
    assert_eq!(listed["traces"][0]["kind"], "pack", "{listed}");
    let compared = shell.run(&["traces", "diff", "kind=pack", "kind=pack"]);
    assert_eq!(compared.code, 0, "{}", compared.err);
}

#[test]
fn where_nothing_is_found_it_is_said_that_the_archive_may_have_it() {
    let archive = "s3://traces/shop";
    let shell = Shell::new().with_store();
    let shell = shell.with("LONGSHORE_TRACE_STORE_ARCHIVE", archive);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let fetch = format!("traces fetch {trace} ");
    for (words, says) in [
        (["traces", "show", trace], fetch.as_str()),
        (["traces", "list", "error"], "traces fetch --since 30d "),
    ] {
        let said = shell.run(&words);
        assert!(said.err.contains(archive), "{}", said.err);
        assert!(said.err.contains(says), "{}", said.err);
        let without = Shell::new().with_store().run(&words);
        assert!(!without.err.contains("archive"), "{}", without.err);
    }
}

#[test]
fn a_job_that_waits_is_found_by_what_it_is_searched_by() {
    let shell = Shell::new();
    shell.enqueue(&["q", "pack", "--meta", "order=17", "--tag", "vip"]);
    shell.enqueue(&["q", "pack", "--meta", "order=18"]);
    for search in ["meta.order=17", "tag=vip", "has:meta.order tag=vip"] {
        let words = [
            &["traces", "list", "--json"][..],
            &search.split(' ').collect::<Vec<_>>(),
        ];
        let found = shell.run(&words.concat()).json();
        assert_eq!(
            found["traces"].as_array().unwrap().len(),
            1,
            "{search}: {found}"
        );
    }
    let none = shell.run(&["traces", "list", "meta.order=19"]);
    assert!(
        none.err.contains("longshore jobs list --meta"),
        "{}",
        none.err
    );
}

#[test]
fn a_list_says_that_there_are_more_only_if_there_are() {
    let shell = Shell::new();
    for _ in 0..3 {
        shell.enqueue(&["q", "pack"]);
    }
    let more = |limit: &str| shell.run(&["traces", "list", "--limit", limit]).err;
    assert!(more("2").contains("go on with --cursor"), "{}", more("2"));
    assert_eq!(more("3"), "");
    let page = shell
        .run(&["traces", "list", "--limit", "3", "--json"])
        .json();
    assert_eq!(page["next_cursor"], serde_json::Value::Null);
}

#[test]
fn those_that_took_longest_come_first_on_request() {
    let shell = Shell::new();
    for (kind, sleep) in [("quick", "0"), ("slow", "0.4"), ("middle", "0.1")] {
        shell.enqueue(&["q", kind]);
        assert_eq!(shell.drain(&format!("sleep {sleep}")).code, 0);
    }
    let sorted = |words: &[&str]| {
        let words = [&["traces", "list", "--sort", "duration", "--json"], words].concat();
        let page = shell.run(&words).json();
        let traces = page["traces"].as_array().unwrap().clone();
        let took = |trace: &serde_json::Value| {
            let at = |key: &str| trace[key].as_str().unwrap().parse::<Timestamp>().unwrap();
            at("end").since(at("start"))
        };
        let times: Vec<_> = traces.iter().map(took).collect();
        (traces.len(), times)
    };
    let (count, times) = sorted(&[]);
    assert_eq!(count, 3);
    assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
    assert_eq!(sorted(&["--limit", "1"]), (1, times[..1].to_vec()));
    let wrong = shell.run(&["traces", "list", "--sort", "duration", "--cursor", "x"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
}

#[test]
fn traces_of_other_stores_are_listed_only_if_asked_for() {
    let shell = Shell::new();
    let other = format!("sqlite:{}", shell.path("other.db"));
    shell.enqueue(&["q", "own"]);
    shell.enqueue(&["q", "theirs", "--store", &other]);
    let kinds = |words: &[&str]| -> Vec<String> {
        let words = [&["traces", "list", "--json"], words].concat();
        let page = shell.run(&words).json();
        let traces = page["traces"].as_array().unwrap().iter();
        traces
            .map(|trace| trace["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    for _tier in 0..2 {
        assert_eq!(kinds(&[]), ["own"]);
        assert_eq!(kinds(&["--store", &other]), ["theirs"]);
        // The same file by another path.
        assert_eq!(kinds(&["--store", "sqlite:other.db"]), ["theirs"]);
        assert_eq!(kinds(&["--all-stores"]), ["theirs", "own"]);
        let sealed = shell.run(&["traces", "seal"]);
        assert_eq!(sealed.code, 0, "{}", sealed.err);
    }
    let table = shell.run(&["traces", "list", "--all-stores"]).out;
    let line = table.lines().find(|line| line.contains("theirs"));
    let whole = std::fs::canonicalize(shell.path("other.db")).unwrap();
    let store = format!("sqlite:{}", whole.display());
    assert!(line.unwrap().contains(&store), "{table}");
}

#[tokio::test]
async fn traces_of_a_program_that_uses_the_library_are_listed_with_its_store() {
    let shell = Shell::new();
    let log = shell.path("log");
    let shell = shell.with("LONGSHORE_TELEMETRY_SPAN_LOG", &log);
    let other = shell.make_store("other.db");
    let variables = [
        ("LONGSHORE_TELEMETRY_SPAN_LOG", &*log),
        ("OTEL_TRACES_EXPORTER", "none"),
    ];
    let config = Config::load(&[], &Environment::from_pairs(variables), &[]).unwrap();
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    assert_eq!(*warnings, []);
    let options = SqliteOptions::at(shell.path("jobs.db"));
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let producer = Producer::new(store).with_recorder(telemetry.recorder());
    producer
        .enqueue(JobRequest::new("q", "own").args(&1))
        .await
        .unwrap();
    assert!(telemetry.shutdown(Duration::from_secs(60)).await);
    let listed = |words: &[&str]| {
        let page = shell.run(&[&["traces", "list", "--json"], words].concat());
        page.json()["traces"].as_array().unwrap().len()
    };
    assert_eq!(listed(&[]), 1);
    assert_eq!(listed(&["--store", &other]), 0);
    assert_eq!(listed(&["--store", &other, "--all-stores"]), 1);
    // The command line calls the store as the program does.
    shell.enqueue(&["q", "own"]);
    let page = shell.run(&["traces", "list", "--json"]).json();
    let traces = page["traces"].as_array().unwrap();
    let stores = |trace: &serde_json::Value| trace["stores"].clone();
    assert_eq!(traces.len(), 2);
    assert_eq!(stores(&traces[0]), stores(&traces[1]));
    assert_eq!(stores(&traces[0]).as_array().unwrap().len(), 1);
}
