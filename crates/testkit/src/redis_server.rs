//! Redis and Valkey for tests: private servers, each on a free port with a folder of its own, gone
//! with the test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::Port;

/// A server, killed when the last test lets go of it, or when the test's process ends.
#[derive(Debug)]
pub struct RedisServer {
    /// Where it listens on the loopback interface.
    pub port: u16,
    /// That one, and what comes with it.
    _reserved: Vec<Port>,
    folder: PathBuf,
    program: PathBuf,
    settings: Vec<String>,
    /// A shell that kills the server once its input ends, however this process does.
    shell: Child,
    leash: Option<ChildStdin>,
}

/// The program of the server that is asked for, if it is installed.
///
/// Without it a test says that it is skipped; where `LONGSHORE_CI` is set that is an error.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    // Valkey is not where programs are, since Redis is.
    let of_valkey = std::env::var_os("LONGSHORE_VALKEY").filter(|_| name == "valkey-server");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = of_valkey
        .map(PathBuf::from)
        .into_iter()
        .chain(std::env::split_paths(&path).map(|folder| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        let in_ci = std::env::var_os("LONGSHORE_CI").is_some();
        assert!(!in_ci, "{name} is not installed");
        eprintln!("skipped: there is no {name} on this machine");
    }
    found
}

/// Numbers for what must not meet: folders, and the keys of stores.
#[must_use]
pub fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The port of a server, and those that are to be kept for it.
fn ports(is_cluster: bool) -> (u16, Vec<Port>) {
    for _ in 0..1000 {
        let port = Port::reserve().unwrap();
        let number = port.number();
        if !is_cluster {
            return (number, vec![port]);
        }
        // The nodes of a cluster talk to each other there.
        let of_nodes = number.checked_add(10_000).map(Port::of);
        if let Some(Ok(of_nodes)) = of_nodes {
            return (number, vec![port, of_nodes]);
        }
    }
    panic!("there are no ports for the node of a cluster");
}

impl RedisServer {
    /// A server without any file, or nothing if there is no program for it.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// A server with these settings.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        Self::of("redis-server", settings)
    }

    /// A server of Valkey without any file.
    #[must_use]
    pub fn valkey() -> Option<Self> {
        Self::of("valkey-server", &["--save", "", "--appendonly", "no"])
    }

    /// A server of the program that is named.
    #[must_use]
    pub fn of(name: &str, settings: &[&str]) -> Option<Self> {
        let program = program(name)?;
        let name = format!("longshore-redis-{}-{}", std::process::id(), next_number());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let is_cluster = settings.contains(&"--cluster-enabled");
        let settings = settings
            .iter()
            .map(|setting| (*setting).to_owned())
            .collect();
        let (port, reserved) = ports(is_cluster);
        let mut server = Self::run(program, folder, port, settings);
        server._reserved = reserved;
        Some(server)
    }

    fn run(program: PathBuf, folder: PathBuf, port: u16, settings: Vec<String>) -> Self {
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg("\"$@\" >server.log 2>&1 & read line; kill -9 $!; wait; echo")
            .arg("sh")
            .arg(&program)
            // Sentinel takes nothing but a file.
            .args(
                settings
                    .iter()
                    .take_while(|setting| setting.ends_with(".conf")),
            )
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(
                settings
                    .iter()
                    .skip_while(|setting| setting.ends_with(".conf")),
            )
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let leash = shell.stdin.take();
        let server = Self {
            port,
            _reserved: Vec::new(),
            folder,
            program,
            settings,
            shell,
            leash,
        };
        server.wait_until_there();
        server
    }

    fn wait_until_there(&self) {
        for _ in 0..2000 {
            if self
                .command(&["PING"])
                .is_some_and(|said| said.starts_with("+PONG"))
            {
                return;
            }
            // Nothing tells when a program listens but trying.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let log = std::fs::read_to_string(self.folder.join("server.log"));
        panic!("the server does not answer: {log:?}");
    }

    /// Sends a command by a connection of its own; gives back the beginning of what was said.
    pub fn command(&self, words: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(text.as_bytes()).ok()?;
        let mut said = vec![0; 64 << 10];
        let length = stream.read(&mut said).ok()?;
        said.truncate(length);
        Some(String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts the server again, which must be killed, on its port and with its files.
    pub fn revive(&mut self) {
        let (program, settings) = (self.program.clone(), self.settings.clone());
        let revived = Self::run(program, self.folder.clone(), self.port, settings);
        let mut revived = std::mem::ManuallyDrop::new(revived);
        std::mem::swap(&mut self.shell, &mut revived.shell);
        std::mem::swap(&mut self.leash, &mut revived.leash);
    }

    /// Whether it keeps libraries of functions, which it does from version 7 on.
    #[must_use]
    pub fn has_functions(&self) -> bool {
        self.knows("FCALL")
    }

    /// Whether there is such a command.
    #[must_use]
    pub fn knows(&self, command: &str) -> bool {
        let said = self.command(&["COMMAND", "INFO", command]).unwrap();
        said.to_lowercase().contains(&command.to_lowercase())
    }

    /// How often commands were called since the last `CONFIG RESETSTAT`, by functions too.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, u64)> {
        let said = self.command(&["INFO", "commandstats"]).unwrap();
        let counts = said.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        let own = ["fcall", "evalsha", "time", "config|resetstat", "config"];
        counts
            .filter(|(name, _)| !own.contains(&name.as_str()))
            .collect()
    }

    /// The URL of a store that no other test uses.
    #[must_use]
    pub fn url(&self) -> String {
        let number = next_number();
        format!("redis://127.0.0.1:{}?prefix=test-{number}", self.port)
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the server with no chance to write anything more.
    pub fn kill(&mut self) {
        drop(self.leash.take());
        let mut rest = String::new();
        if let Some(mut out) = self.shell.stdout.take() {
            // The shell says something when the server is gone.
            out.read_to_string(&mut rest).unwrap();
        }
        self.shell.wait().unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // Its last file may still be written.
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// The server that the tests of this process share, or nothing if there is no program for it.
#[must_use]
pub fn shared() -> Option<Arc<RedisServer>> {
    static SHARED: LazyLock<Mutex<Weak<RedisServer>>> = LazyLock::new(Mutex::default);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(RedisServer::start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}
