//! What becomes of programs when their worker is killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::exec::runs;
use crate::shell::Shell;

/// Long enough for a loaded machine; nothing waits this long unless the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker in a group of its own, as a shell starts it, whose program holds a pipe open.
struct Running {
    worker: Child,
    pipe: BufReader<File>,
    /// The processes of the program.
    pids: Vec<String>,
}

impl Running {
    /// `program` prints process ids to `&9` on a line, and everything it starts inherits `&9`.
    fn start(shell: &Shell, program: &str) -> Self {
        shell.enqueue(&["q", "k"]);
        let fifo = shell.path("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        // A job's args come once the guard has been told of the program.
        let program = format!("exec 9> {fifo}; cat > /dev/null; {program}");
        let args = [
            "worker", "--queue", "q", "--lease", "60s", "--exec", &program,
        ];
        let mut command = shell.command(&args);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let worker = command.stderr(Stdio::null()).process_group(0).spawn();
        let mut pipe = BufReader::new(File::open(&fifo).unwrap());
        let mut line = String::new();
        pipe.read_line(&mut line).unwrap();
        Self {
            worker: worker.unwrap(),
            pipe,
            pids: line.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// The processes that the worker itself started.
    fn children(&self) -> Vec<String> {
        let pid = self.worker.id();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
        let lists = tasks.map(|task| of(task.unwrap()).unwrap_or_default());
        let all: Vec<String> = lists.collect();
        all.join(" ")
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    fn signal(&self, signal: &str, whole_group: bool) {
        let sign = if whole_group { "-" } else { "" };
        let target = format!("{sign}{}", self.worker.id());
        let mut kill = Command::new("kill");
        assert!(
            kill.args([signal, "--", &target])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Returns when the last process that holds the pipe has ended.
    fn wait_for_the_end_of_all(mut self) {
        self.worker.wait().unwrap();
        let (done, ended) = mpsc::channel();
        let mut pipe = self.pipe;
        std::thread::spawn(move || done.send(pipe.read_to_end(&mut Vec::new())));
        if ended.recv_timeout(PATIENCE).is_err() {
            let _clean_up = Command::new("kill").arg("-9").args(&self.pids).status();
            panic!("{:?} go on", self.pids);
        }
        // A process that ends closes its pipes a moment before it is gone.
        self.pids.iter().for_each(|pid| wait_for_the_end_of(pid));
    }
}

/// Yields until a process has ended.
fn wait_for_the_end_of(pid: &str) {
    let (done, ended) = mpsc::channel();
    let asked = pid.to_owned();
    std::thread::spawn(move || {
        while runs(&asked) {
            std::thread::yield_now();
        }
        done.send(())
    });
    let ended = ended.recv_timeout(PATIENCE);
    ended.unwrap_or_else(|_late| panic!("{pid} goes on"));
}

#[test]
fn a_killed_worker_leaves_no_program_running() {
    let shell = Shell::new();
    let program = "sleep 300 & echo $$ $! >&9; wait";
    let running = Running::start(&shell, program);
    assert_eq!(running.pids.len(), 2);
    let children = running.children();
    assert_eq!(children.len(), 2, "the program and the guard: {children:?}");
    running.signal("-KILL", false);
    running.wait_for_the_end_of_all();
    children.iter().for_each(|pid| wait_for_the_end_of(pid));
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_with_its_children() {
    let shell = Shell::new();
    let program = "trap '' TERM; sleep 300 & echo $$ $! >&9; wait; sleep 300";
    let running = Running::start(&shell, program);
    running.signal("-KILL", false);
    running.wait_for_the_end_of_all();
}

#[test]
fn the_guard_survives_what_hits_the_group_of_the_worker() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[worker]\nshutdown_grace = '300s'\n");
    let running = Running::start(&shell, "sleep 300 & echo $$ $! >&9; wait");
    running.signal("-INT", true);
    running.signal("-KILL", true);
    running.wait_for_the_end_of_all();
}

#[test]
fn a_service_manager_that_asks_every_process_to_stop_does_not_end_the_guard() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[worker]\nshutdown_grace = '300s'\n");
    let running = Running::start(&shell, "sleep 300 & echo $$ $! >&9; wait");
    for pid in running.children() {
        if pid != running.pids[0] {
            assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        }
    }
    running.signal("-KILL", false);
    running.wait_for_the_end_of_all();
}

#[test]
fn a_second_ctrl_c_stops_the_programs_too() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[worker]\nshutdown_grace = '300s'\n");
    let program = "trap '' INT; sleep 300 & echo $$ $! >&9; wait";
    let mut running = Running::start(&shell, program);
    // Signals of one kind that arrive together are one, so it is sent until it has counted twice.
    while running.worker.try_wait().unwrap().is_none() {
        let _gone = Command::new("kill")
            .args(["-INT", &running.worker.id().to_string()])
            .stderr(Stdio::null())
            .status();
    }
    running.wait_for_the_end_of_all();
}

#[test]
fn the_guard_ends_with_its_worker() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let answer = shell.drain("cat /proc/$PPID/task/*/children");
    assert_eq!(
        (answer.code, answer.err.as_str()),
        (0, "Worker done: 1 completed.\n")
    );
    let children = shell.job(&id)["result"].as_str().unwrap().to_owned();
    let children: Vec<&str> = children.split_whitespace().collect();
    assert_eq!(children.len(), 2, "the program and the guard: {children:?}");
    for pid in children {
        assert!(!runs(pid), "{pid}");
    }
}

#[test]
fn a_worker_whose_guard_was_killed_says_so_and_goes_on() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    // A process that was killed is there until the worker has heard of it.
    let program = "for pid in $(cat /proc/$PPID/task/*/children); do \
                   [ $pid = $$ ] && continue; kill -9 $pid; \
                   while kill -0 $pid 2>/dev/null; do sleep 0.01; done; done; echo on";
    let answer = shell.drain(program);
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert!(
        answer.err.contains("guard of the programs has ended"),
        "{}",
        answer.err
    );
}
