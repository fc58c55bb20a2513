//! A server that speaks as S3 does.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server of its own, with one bucket, that ends with the test.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

/// The program, if it is there. Without it the test says so and is skipped, but not in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("LONGSHORE_MINISTACK").map(PathBuf::from);
    let there = named.filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have LONGSHORE_MINISTACK");
    if there.is_none() {
        eprintln!("skipped: LONGSHORE_MINISTACK does not name the program ministack");
    }
    there
}

impl Server {
    pub(crate) const BUCKET: &str = "traces";

    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        // Another process may take a port that is free now; then this one ends, and is tried anew.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let process = Command::new(&program)
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Self { process, port };
            if server.is_ready() {
                let made = server.ask(&format!("PUT /{}", Self::BUCKET)).unwrap();
                assert!(made.starts_with("HTTP/1.1 200"), "{made}");
                return Some(server);
            }
        }
        panic!("ministack does not start");
    }

    /// Waits until it answers, or has ended.
    fn is_ready(&mut self) -> bool {
        while self.process.try_wait().unwrap().is_none() {
            if self.ask("GET /").is_some() {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }

    fn ask(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let head = format!(
            "{request} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            self.port
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// What the environment says to those that use it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _reaped = self.process.wait();
    }
}
