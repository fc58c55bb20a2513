//! `config`, `doctor`, help and version.

use crate::shell::{Answer, Shell};

#[test]
fn every_value_is_shown_with_its_origin() {
    let shell = Shell::new().with("OTEL_SERVICE_NAME", "till");
    shell.write(
        "longshore.toml",
        "[worker]\nlease = '45s'\n[otel]\nsampling_ratio = 0.25\n",
    );
    let settings = shell.run(&["config", "show", "--json"]).json();
    let of = |key: &str| {
        let all = settings["settings"].as_array().unwrap();
        let found = all.iter().find(|setting| setting["key"] == key).expect(key);
        (found["value"].to_string(), found["origin"].to_string())
    };
    assert_eq!(of("worker.lease").0, "\"45s\"");
    assert!(of("worker.lease").1.contains("longshore.toml"));
    assert_eq!(
        of("telemetry.service_name"),
        ("\"till\"".into(), "\"$OTEL_SERVICE_NAME\"".into())
    );
    assert_eq!(of("telemetry.sampling_ratio").0, "\"0.25\"");
    assert!(of("store").1.contains("LONGSHORE_STORE"));
    assert!(shell.run(&["config", "show"]).out.starts_with("KEY"));
}

#[test]
fn a_bad_telemetry_value_warns_a_worker_and_fails_the_check() {
    let shell = Shell::new().with("OTEL_TRACES_SAMPLER_ARG", "7");
    let check = shell.run(&["config", "check"]);
    assert_eq!(check.code, 1);
    assert!(
        check.err.contains("OTEL_TRACES_SAMPLER_ARG"),
        "{}",
        check.err
    );
    shell.enqueue(&["q", "k"]);
    assert_eq!(shell.drain("true").code, 0);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[worker]\nconcurency = 3\n");
    for args in [["config", "check"], ["queues", "list"]] {
        let answer = shell.run(&args);
        assert_ne!(answer.code, 0);
        assert!(answer.err.contains("worker.concurrency"), "{}", answer.err);
    }
    let missing = shell.run(&["--config", "nowhere.toml", "config", "show"]);
    assert_eq!(missing.code, 2);
}

#[test]
fn log_settings_are_settings_like_all() {
    let shell = Shell::new().with("LONGSHORE_LOG_FORMAT", "json");
    shell.write(
        "longshore.toml",
        "[log]\nfilter = 'info'\n[worker]\nshutdown_grace = '1ms'\n",
    );
    let shown = shell.run(&["config", "show"]).out;
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key));
        let words: Vec<&str> = line.expect(key).split_whitespace().collect();
        words.join(" ")
    };
    assert_eq!(line("log.filter"), "log.filter info longshore.toml");
    assert_eq!(line("log.format"), "log.format json $LONGSHORE_LOG_FORMAT");
    shell.enqueue(&["q", "k"]);
    // A worker that has to stop its program before its time logs that.
    let stop = ["worker", "--queue", "q", "--exec", "kill $PPID; sleep 300"];
    let answer = shell.run(&stop);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let line = answer.err.lines().find(|line| line.starts_with('{'));
    let line: serde_json::Value = serde_json::from_str(line.expect(&answer.err)).unwrap();
    assert!(line.to_string().contains("grace"), "{line}");
    for (name, value) in [("LONGSHORE_LOG", "a=b=c"), ("LONGSHORE_LOG_FORMAT", "xml")] {
        let shell = Shell::new().with(name, value);
        for args in [
            &["config", "check"][..],
            &["worker", "--queue", "q", "--exec", "x"],
        ] {
            let answer = shell.run(args);
            assert_ne!(answer.code, 0, "{args:?}");
            assert!(answer.err.contains(name), "{}", answer.err);
        }
    }
}

#[test]
fn a_variable_that_is_not_utf8_is_not_passed_over_in_silence() {
    use std::os::unix::ffi::OsStrExt as _;
    let run = |name: &str, args: &[&str]| {
        let shell = Shell::new();
        let value = std::ffi::OsStr::from_bytes(b"sqlite:\xff.db");
        let output = shell.command(args).env(name, value).output().unwrap();
        Answer::of(output)
    };
    let store = run("LONGSHORE_STORE", &["queues", "list"]);
    assert_eq!(store.code, 2, "{}", store.err);
    assert!(store.err.contains("$LONGSHORE_STORE"), "{}", store.err);
    for name in ["OTEL_SERVICE_NAME", "TRACEPARENT"] {
        let enqueued = run(name, &["enqueue", "q", "k"]);
        assert_eq!(enqueued.code, 0, "{}", enqueued.err);
        assert!(enqueued.err.contains(name), "{}", enqueued.err);
    }
}

#[test]
fn doctor_finds_two_opentelemetry_versions() {
    let shell = Shell::new().with_store();
    let healthy = shell.run(&["doctor", "--json"]);
    assert_eq!((healthy.code, &healthy.json()["ok"]), (0, &true.into()));
    let package =
        |version| format!("[[package]]\nname = \"opentelemetry\"\nversion = \"{version}\"\n");
    shell.write("Cargo.lock", package("0.31.0") + &package("0.33.1"));
    let sick = shell.run(&["doctor"]);
    assert_eq!(sick.code, 1);
    assert!(sick.out.contains("0.31.0 and 0.33.1"), "{}", sick.out);
}

#[test]
fn help_and_version_go_to_stdout() {
    let shell = Shell::new();
    for args in [
        &["--help"][..],
        &["enqueue", "--help"],
        &["jobs", "list", "--help"],
        &["--version"],
    ] {
        let answer = shell.run(args);
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{args:?}");
        assert!(answer.out.contains("longshore"), "{args:?}");
    }
    assert_eq!(shell.run(&[]).code, 2);
    assert_eq!(shell.run(&["enqeue"]).code, 2);
}
