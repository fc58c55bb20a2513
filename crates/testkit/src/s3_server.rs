//! Servers that speak as S3 does, each of its own process, gone with the test.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::Port;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Program {
    /// ministack: heeds conditions, one request after the other.
    Ministack,
    /// The same, with all it has written to disk, so that it can be killed and started again.
    KeptMinistack,
    /// moto: heeds them, with threads.
    Moto,
    /// `rclone serve s3`: ignores conditions.
    Rclone,
}

impl S3Program {
    /// The variable of the environment that names the program; for moto, a Python that has it.
    const fn variable(self) -> &'static str {
        match self {
            Self::Ministack | Self::KeptMinistack => "LONGSHORE_MINISTACK",
            Self::Moto => "LONGSHORE_MOTO",
            Self::Rclone => "LONGSHORE_RCLONE",
        }
    }

    /// The program, if it is there. Without it the test says so and is skipped, but not in CI.
    #[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
    fn path(self) -> Option<PathBuf> {
        let variable = self.variable();
        let named = std::env::var_os(variable).map(PathBuf::from);
        let there = named.filter(|program| program.is_file());
        let ci = std::env::var_os("LONGSHORE_CI").is_some();
        assert!(there.is_some() || !ci, "CI must have {variable}");
        if there.is_none() {
            eprintln!("skipped: {variable} names no program");
        }
        there
    }
}

const MOTO: &str = "import sys
from moto.server import main
main(['-H', '127.0.0.1', '-p', sys.argv[1]])";

/// A server with one bucket, killed when it is dropped, or when the test's process ends.
#[derive(Debug)]
pub struct S3Server {
    program: S3Program,
    port: Port,
    folder: PathBuf,
    /// A shell that kills the server once its input ends, however this process does.
    shell: Child,
    leash: Option<ChildStdin>,
}

impl S3Server {
    /// The bucket that is there.
    pub const BUCKET: &str = "bucket";

    /// A server on a free port, or nothing if its program is not there.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(program: S3Program) -> Option<Self> {
        let path = program.path()?;
        let port = Port::reserve().unwrap();
        let folder = format!("longshore-s3-{}-{}", std::process::id(), port.number());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(folder.join(Self::BUCKET)).unwrap();
        let (shell, leash) = run(program, &path, port.number(), &folder);
        let server = Self {
            program,
            port,
            folder,
            shell,
            leash,
        };
        assert!(server.is_ready(), "{program:?} does not start");
        server.make_bucket();
        Some(server)
    }

    /// Waits until it answers, or gives up.
    fn is_ready(&self) -> bool {
        (0..3000).any(|_| {
            let answers = self.ask("GET /").is_some_and(|said| !said.is_empty());
            if !answers {
                // Nothing tells when a program listens but trying.
                std::thread::park_timeout(Duration::from_millis(10));
            }
            answers
        })
    }

    fn make_bucket(&self) {
        // That one has a folder, and wants signatures.
        if self.program != S3Program::Rclone {
            let made = self.ask(&format!("PUT /{}", Self::BUCKET)).unwrap();
            assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        }
    }

    fn ask(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.port.address()).ok()?;
        let head = format!(
            "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            self.address()
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Where it listens, such as `127.0.0.1:9000`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address().to_string()
    }

    /// What the environment says to those that use it.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        variables(&self.address())
    }

    /// Kills it, with no chance to do or say anything more.
    pub fn kill(&mut self) {
        drop(self.leash.take());
        let mut rest = String::new();
        if let Some(mut out) = self.shell.stdout.take() {
            // The shell says something when the server is gone.
            let _said = out.read_to_string(&mut rest);
        }
        let _reaped = self.shell.wait();
    }

    /// Starts it again, which must be killed, on its port and with what it had written down.
    ///
    /// # Panics
    /// If it does not start.
    pub fn revive(&mut self) {
        let path = self.program.path().unwrap();
        (self.shell, self.leash) = run(self.program, &path, self.port.number(), &self.folder);
        assert!(self.is_ready(), "{:?} does not start again", self.program);
    }
}

/// What the environment says to those that use a server there, or a proxy of it.
#[must_use]
pub fn variables(address: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
    ]
}

fn run(
    program: S3Program,
    path: &PathBuf,
    port: u16,
    folder: &PathBuf,
) -> (Child, Option<ChildStdin>) {
    let port = port.to_string();
    let words: Vec<OsString> = match program {
        S3Program::Ministack | S3Program::KeptMinistack => Vec::new(),
        S3Program::Moto => ["-c", MOTO, &port].map(OsString::from).into(),
        S3Program::Rclone => {
            let address = format!("127.0.0.1:{port}");
            let words = [
                "serve",
                "s3",
                "--config",
                "/dev/null",
                "--addr",
                &address,
                "--auth-key",
                "test,test",
            ];
            let folder = folder.clone().into_os_string();
            words
                .map(OsString::from)
                .into_iter()
                .chain([folder])
                .collect()
        }
    };
    let mut shell = Command::new("sh")
        .arg("-c")
        .arg("\"$@\" >server.log 2>&1 & read line; kill -9 $!; wait; echo")
        .arg("sh")
        .arg(path)
        .args(words)
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", &port)
        .env(
            "S3_PERSIST",
            if program == S3Program::KeptMinistack {
                "1"
            } else {
                "0"
            },
        )
        .env("S3_DATA_DIR", folder.join("ministack"))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let leash = shell.stdin.take();
    (shell, leash)
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// The server that the tests of this process share, or nothing if there is no program for it.
#[must_use]
pub fn shared() -> Option<Arc<S3Server>> {
    static SHARED: LazyLock<Mutex<Weak<S3Server>>> = LazyLock::new(Mutex::default);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(S3Server::start(S3Program::Ministack)?);
    *shared = Arc::downgrade(&server);
    Some(server)
}
