//! The command line on a Redis server, by several processes.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::absent::a_mistyped_name_makes_no_store;
use crate::shell::{Answer, Shell};
use crate::store_copy;

/// A private server that is gone once its input ends, however the test's process does.
struct Server {
    leash: Child,
    port: u16,
    _folder: Shell,
}

impl Server {
    /// `None`, said so, where there is no Redis; in CI that is an error.
    #[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
    fn start() -> Option<Self> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            let in_ci = std::env::var_os("LONGSHORE_CI").is_some();
            assert!(!in_ci, "redis-server is not installed");
            eprintln!("skipped: there is no redis-server on this machine");
            return None;
        }
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = Shell::new();
        let script = format!(
            "redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly yes \
             --appendfsync always --maxmemory 100mb >log & \
             until grep -q 'Ready to accept' log; do :; done; echo ready; read line; kill -9 $!"
        );
        let mut leash = Command::new("sh")
            .args(["-c", &script])
            .current_dir(&folder.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(leash.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        Some(Self {
            leash,
            port,
            _folder: folder,
        })
    }

    /// A shell whose store is on this server.
    fn shell(&self, prefix: &str) -> Shell {
        let url = format!("redis://127.0.0.1:{}?prefix={prefix}", self.port);
        Shell::new().with("LONGSHORE_STORE", &url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        self.leash.wait().unwrap();
    }
}

#[test]
fn a_job_goes_its_way_on_redis() {
    let Some(server) = Server::start() else {
        return;
    };
    let shell = server.shell("way");
    let good = shell.enqueue(&["q", "k", "{\"to\":\"ann\"}", "--tag", "red"]);
    let bad = shell.enqueue(&["q", "k", "{}", "--max-attempts", "1"]);
    let answer = shell.drain("grep ann");
    assert_eq!(answer.code, 3, "one was discarded: {}", answer.err);

    let job = shell.job(&good);
    assert_eq!(job["state"], "completed");
    assert_eq!(job["result"], json!({ "to": "ann" }));
    assert_eq!(shell.job(&bad)["state"], "discarded");
    let shown = shell.run(&["jobs", "show", &good]);
    assert!(shown.out.contains("queue.dequeue"), "{}", shown.out);

    let failed = shell.run(&["jobs", "list", "--state", "discarded", "--json"]);
    let failed = failed.json();
    assert_eq!(failed["jobs"].as_array().unwrap().len(), 1, "{failed}");
    assert_eq!(failed["jobs"][0]["id"], bad.as_str());
    assert_eq!(shell.run(&["jobs", "retry", &bad]).code, 0);
    assert_eq!(shell.job(&bad)["state"], "available");
    assert_eq!(shell.run(&["queues", "pause", "q"]).code, 0);
    let queues = shell.run(&["queues", "list", "--json"]).json();
    assert_eq!(queues["queues"][0]["paused"], true, "{queues}");
    let doctor = shell.run(&["doctor"]);
    assert!(doctor.out.contains("Redis"), "{}{}", doctor.out, doctor.err);
}

/// Two processes share a queue, and each job runs once.
#[test]
fn two_workers_share_a_queue_on_redis() {
    let Some(server) = Server::start() else {
        return;
    };
    let shell = server.shell("shared");
    let lines = "{}\n".repeat(40);
    let file = shell.write("lines", lines);
    let answer = shell.run(&["enqueue", "q", "k", "--lines", &file]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let program = "echo $LONGSHORE_JOB_ID >>ran.txt";
    let work = ["worker", "--queue", "q", "--drain", "--exec", program];
    let workers = [shell.start(&work), shell.start(&work)];
    for worker in workers {
        let answer = Answer::of(worker.wait_with_output().unwrap());
        assert_eq!(answer.code, 0, "{}", answer.err);
    }
    let ran = std::fs::read_to_string(shell.path("ran.txt")).unwrap();
    let mut ids: Vec<&str> = ran.lines().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), ran.lines().count()), (40, 40));
    let done = shell.run(&[
        "jobs",
        "list",
        "--state",
        "completed",
        "--limit",
        "100",
        "--json",
    ]);
    assert_eq!(done.json()["jobs"].as_array().unwrap().len(), 40);
}

/// All that a store has goes to the server and back into a file, and is the same.
#[test]
fn a_store_goes_to_redis_and_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let shell = Shell::new();
    let ids = store_copy::filled(&shell);
    let there = format!("redis://127.0.0.1:{}?prefix=moved", server.port);
    let back = format!("sqlite:{}", shell.path("back.db"));
    let hashes = [(shell.store(), there.clone()), (there, back.clone())].map(|(from, to)| {
        let copied = store_copy::copy(&shell, &from, &to);
        assert_eq!(copied.code, 0, "{}", copied.err);
        let copied = copied.json();
        assert_eq!(copied["source"], copied["target"]);
        copied["target"]["hash"].clone()
    });
    assert_eq!(hashes[0], hashes[1]);
    for id in &ids {
        let shown = shell
            .run(&["--store", &back, "jobs", "show", id, "--json"])
            .json();
        let before = shell.job(id);
        // Redis has whole microseconds, so that times are cut.
        for key in ["state", "args", "attempt", "trace_id", "unique_key", "tags"] {
            assert_eq!(shown[key], before[key], "{id} {key}");
        }
    }
}

#[test]
fn a_mistyped_prefix_makes_no_store_on_redis() {
    let Some(server) = Server::start() else {
        return;
    };
    server.shell("shop").enqueue(&["q", "k"]);
    let [other, url] =
        ["shop", "shpo"].map(|name| format!("redis://127.0.0.1:{}?prefix={name}", server.port));
    a_mistyped_name_makes_no_store(Shell::new(), &url, "prefix=shop", &other);
}
