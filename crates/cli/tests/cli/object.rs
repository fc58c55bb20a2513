//! The command line on object storage.

use longshore_testkit::Port;
use longshore_testkit::s3_server::{S3Program, S3Server};
use serde_json::Value;

use crate::absent::a_mistyped_name_makes_no_store;
use crate::shell::Shell;
use crate::store_copy;

/// A server, and a shell whose store is on it; nothing, said so, where there is no such server.
fn on_a_server() -> Option<(S3Server, Shell)> {
    let server = S3Server::start(S3Program::Ministack)?;
    let mut shell = Shell::new();
    for (name, value) in server.variables() {
        shell = shell.with(name, &value);
    }
    let store = format!("s3://{}/jobs", S3Server::BUCKET);
    Some((server, shell.with("LONGSHORE_STORE", &store)))
}

fn call<'v>(requests: &'v Value, name: &str) -> &'v Value {
    let calls = requests["calls"].as_array().unwrap();
    let mut calls = calls.iter().filter(|call| call["call"] == name);
    let call = calls
        .next()
        .unwrap_or_else(|| panic!("{name} of {requests}"));
    assert!(calls.next().is_none(), "{requests}");
    call
}

/// What four jobs that came together asked for, each says its quarter of, whichever of them bears the
/// spans.
#[test]
fn a_job_says_what_it_asked_object_storage_for() {
    let Some((_server, shell)) = on_a_server() else {
        return;
    };
    let lines = shell.write("lines", "1\n2\n3\n4\n");
    let enqueued = shell.run(&["enqueue", "q", "k", "--lines", &lines]);
    assert_eq!(enqueued.code, 0, "{}", enqueued.err);
    let ids: Vec<&str> = enqueued.out.lines().collect();
    let worker = &["worker", "--queue", "q", "--concurrency", "4", "--drain"];
    let drained = shell.run(&[&worker[..], &["--exec", "true"]].concat());
    assert_eq!(drained.code, 0, "{}", drained.err);
    let mut puts = 0.0;
    for id in &ids {
        let shown = shell.run(&["jobs", "show", id, "--json"]);
        let requests = shown.json()["requests"].clone();
        assert_eq!(requests["unknown"], serde_json::json!([]), "{requests}");
        let enqueue = call(&requests, "queue.enqueue");
        // Its batch, and once and for all the queue.
        assert_eq!((&enqueue["jobs"], &enqueue["put"]), (&4.into(), &2.into()));
        let claim = call(&requests, "queue.claim");
        assert_eq!((&claim["jobs"], &claim["put"]), (&4.into(), &1.into()));
        assert!(
            call(&requests, "job.settle")["put"].as_u64() >= Some(1),
            "{requests}"
        );
        puts += requests["put"].as_f64().unwrap();
    }
    // The batch, the queue, the leases, and the outcomes in one write or in several.
    assert!((4.0..=7.0).contains(&puts), "{puts}");
    let told = shell.run(&["jobs", "show", ids[2]]).out;
    assert!(told.contains("  requests "), "{told}");
    assert!(told.contains("queue.enqueue  2 PUT"), "{told}");
    assert!(told.contains("for 4 jobs"), "{told}");
}

/// A bucket keeps jobs for a while, and whoever deletes some is told.
#[test]
fn jobs_that_object_storage_keeps_are_no_surprise() {
    let Some((_server, shell)) = on_a_server() else {
        return;
    };
    assert_eq!(shell.run(&["enqueue", "q", "k"]).code, 0);
    let worker = ["worker", "--queue", "q", "--drain", "--exec", "true"];
    assert_eq!(shell.run(&worker).code, 0);
    for (rule, is_kept) in [
        (["--older-than", "0s"], true),
        (["--older-than", "2h"], false),
        (["--keep", "0"], true),
    ] {
        for said in ["--dry-run", "--yes"] {
            let pruned = shell.run(&["jobs", "prune", rule[0], rule[1], said]);
            assert_eq!(pruned.code, 0, "{}", pruned.err);
            let told = pruned.err.contains("keeps each job for 1 h 15 m");
            assert_eq!(told, is_kept, "{}", pruned.err);
            let none = format!("{}{}", pruned.out, pruned.err);
            assert!(none.contains("0 jobs"), "{none}");
        }
    }
}

/// What a file has goes to a bucket and back into another file.
#[test]
fn a_store_is_copied_to_object_storage_and_back() {
    let Some((_server, shell)) = on_a_server() else {
        return;
    };
    let (bucket, back) = (
        shell.store_url(),
        format!("sqlite:{}", shell.path("back.db")),
    );
    let file = Shell::new();
    store_copy::filled(&file);
    let dry = shell.run(&["store", "copy", &file.store(), &bucket, "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.err);
    let looked = shell.run(&["store", "copy", &bucket, &back, "--dry-run", "--json"]);
    assert_eq!(looked.code, 2, "looking makes nothing: {}", looked.out);
    assert!(looked.err.contains("there is no store"), "{}", looked.err);
    for (from, to) in [(&file.store(), &bucket), (&bucket, &back)] {
        let copied = store_copy::copy(&shell, from, to);
        assert_eq!(copied.code, 0, "{}", copied.err);
        let copied = copied.json();
        assert_eq!(copied["stored"], 8, "{copied}");
        assert_eq!(copied["source"], copied["target"]);
    }
    let worker = ["worker", "--queue", "q", "--drain", "--exec", "true"];
    let drained = shell.run(&worker);
    assert_eq!(drained.code, 0, "{}", drained.err);
}

#[test]
fn a_job_of_another_store_was_billed_nothing() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    assert_eq!(shell.job(&id)["requests"], Value::Null);
    let told = shell.run(&["jobs", "show", &id]).out;
    assert!(!told.contains("requests"), "{told}");
}

#[test]
fn a_mistyped_prefix_makes_no_store_in_a_bucket() {
    let Some((_server, shell)) = on_a_server() else {
        return;
    };
    shell.enqueue(&["q", "k"]);
    let [other, url] = ["jobs", "jbos"].map(|name| format!("s3://{}/{name}", S3Server::BUCKET));
    a_mistyped_name_makes_no_store(shell, &url, &url, &other);
}

#[test]
fn doctor_says_once_that_nobody_answers_and_how_to_look() {
    let nobody = Port::reserve().unwrap();
    let endpoint = format!("http://{}", nobody.address());
    let shell = Shell::new()
        .with("AWS_ENDPOINT", &endpoint)
        .with("AWS_ALLOW_HTTP", "true")
        .with("AWS_ACCESS_KEY_ID", "key")
        .with("AWS_SECRET_ACCESS_KEY", "secret")
        .with("LONGSHORE_STORE", "s3://bucket/jobs");
    let doctor = shell.run(&["doctor"]);
    assert_eq!(doctor.code, 4, "{}", doctor.out);
    let problems = doctor
        .out
        .lines()
        .filter(|line| line.starts_with("problem"));
    assert_eq!(problems.count(), 1, "{}", doctor.out);
    let look = format!("curl --verbose --head {endpoint}");
    assert!(doctor.out.contains(&look), "{}", doctor.out);
}
