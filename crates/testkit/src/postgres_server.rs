//! PostgreSQL for tests: one server for all that run at a time, and servers of a test's own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Port;

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens on the loopback interface.
    pub port: u16,
    /// While it is locked, the server stays.
    _in_use: Option<File>,
}

impl Server {
    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }
}

/// The URL of the database of a server there, or of a line to it.
#[must_use]
pub fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// A server of a test's own, to be killed. It goes when this is dropped.
#[derive(Debug)]
pub struct Private {
    programs: PathBuf,
    data: PathBuf,
    port: Port,
    settings: &'static str,
}

impl Private {
    /// Starts it; `None` where there is no PostgreSQL.
    #[must_use]
    pub fn start(settings: &'static str) -> Option<Self> {
        shared()?;
        let programs = programs()?;
        let data = scratch("own");
        let port = Port::reserve().unwrap();
        start(&programs, &data, port.number(), settings);
        Some(Self {
            programs,
            data,
            port,
            settings,
        })
    }

    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port.number())
    }

    /// What it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.join("server.log")).unwrap()
    }

    /// Stops it as a power cut does.
    pub fn kill(&self) {
        let mut stop = command(&self.programs, "pg_ctl");
        run(stop
            .args(["-m", "immediate", "-w", "stop", "-D"])
            .arg(&self.data));
    }

    /// Starts it again, which must be killed, on its port and with its data.
    pub fn launch(&self) {
        launch(
            &self.programs,
            &self.data,
            self.port.number(),
            self.settings,
        );
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let mut stop = command(&self.programs, "pg_ctl");
        stop.args(["-m", "immediate", "-w", "stop", "-D"])
            .arg(&self.data);
        let _gone = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _gone = fs::remove_dir_all(&self.data);
    }
}

/// A path below which nobody else has anything.
#[must_use]
pub fn scratch(what: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("longshore-postgres-{what}-{}-{number}", std::process::id());
    std::env::temp_dir().join(name)
}

/// The variable that names the folder of `initdb` and `pg_ctl` to use.
const PROGRAMS: &str = "LONGSHORE_POSTGRES_BIN";

/// Where the programs of the PostgreSQL are that was asked for, or of the newest here.
fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(PROGRAMS) {
        return Some(folder.into());
    }
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = debian.map(|entry| entry.path()).max_by_key(version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let mut all = debian
        .map(|path| path.join("bin"))
        .into_iter()
        .chain(folders);
    all.find(|folder| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file())
}

/// The server that all tests share, or `None` where there is no PostgreSQL; then it is said.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
#[must_use]
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Some(join(&programs()?)));
    if server.is_none() {
        let ci = std::env::var_os("LONGSHORE_CI").is_some();
        assert!(!ci, "CI must have initdb and pg_ctl");
        eprintln!("skipped: there is no initdb and pg_ctl of PostgreSQL on this machine");
    }
    server.as_ref()
}

/// Starts the shared server, or joins those who use it.
fn join(programs: &Path) -> Server {
    // Each version has a server of its own.
    let version = programs.to_string_lossy().replace('/', "-");
    let home = format!("longshore-postgres-{}-{version}", user());
    let home = std::env::temp_dir().join(home);
    fs::create_dir_all(&home).unwrap();
    let lock = File::options()
        .create(true)
        .append(true)
        .open(home.join("lock"))
        .unwrap();
    loop {
        lock.lock().unwrap();
        let port = fs::read_to_string(home.join("port"));
        let port = port.ok().and_then(|text| text.trim().parse::<u16>().ok());
        let answers = |port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok();
        if port.filter(answers).is_none() {
            let _gone = fs::remove_dir_all(home.join("data"));
            let port = Port::reserve().unwrap();
            start(programs, &home.join("data"), port.number(), QUICK);
            fs::write(home.join("port"), port.number().to_string()).unwrap();
            stop_when_unused(programs, &home);
        }
        // In between the server may be stopped, since nobody uses it.
        lock.unlock().unwrap();
        lock.lock_shared().unwrap();
        let port = fs::read_to_string(home.join("port"));
        let port = port.ok().and_then(|text| text.trim().parse::<u16>().ok());
        if let Some(port) = port.filter(answers) {
            return Server {
                port,
                _in_use: Some(lock),
            };
        }
        lock.unlock().unwrap();
    }
}

/// What makes tests quick, and data worthless after a power cut.
const QUICK: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off";

/// Makes a server in a new folder and starts it.
fn start(programs: &Path, data: &Path, port: u16, settings: &str) {
    fs::create_dir_all(data).unwrap();
    if user() == "0" {
        let mut own = Command::new("chown");
        run(own.arg("nobody").arg(data));
    }
    let mut make = command(programs, "initdb");
    run(make
        .args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"])
        .args(["--locale=C", "-D"])
        .arg(data));
    launch(programs, data, port, settings);
}

/// Starts the server of a folder.
fn launch(programs: &Path, data: &Path, port: u16, settings: &str) {
    let options = format!(
        "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
         -c max_connections=300 -c shared_buffers=64MB {settings}"
    );
    let log = data.join("server.log");
    let mut start = command(programs, "pg_ctl");
    start
        .args(["-w", "-t", "60", "-o", &options, "-l"])
        .arg(log);
    run(start.arg("-D").arg(data).arg("start").stdout(Stdio::null()));
}

/// A program of PostgreSQL's, as a user that it lets run it.
fn command(programs: &Path, name: &str) -> Command {
    as_user(Command::new(programs.join(name)))
}

/// A program as a user that PostgreSQL's programs let run them.
#[must_use]
pub fn as_user(program: Command) -> Command {
    let mut command = match user().as_str() {
        "0" => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
            command.arg(program.get_program());
            command
        }
        _ => program,
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn run(command: &mut Command) {
    // What outlives the command must not hold the output of the test open.
    let path = scratch("errors");
    let file = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .unwrap();
    let status = command.stdout(Stdio::null()).stderr(file).status().unwrap();
    let said = fs::read_to_string(&path).unwrap_or_default();
    let _gone = fs::remove_file(&path);
    assert!(status.success(), "{command:?}: {said}");
}

/// Has the shared server stopped once nobody has used it for a while.
fn stop_when_unused(programs: &Path, home: &Path) {
    let stop = "while sleep 5; do \
        exec 9>>\"$1/lock\"; \
        if flock -n -x 9; then \
            shift_home=$1; shift; \
            \"$@\" >/dev/null 2>&1; rm -rf \"$shift_home/data\" \"$shift_home/port\"; exit; \
        fi; \
        exec 9>&-; done";
    let mut pg_ctl = command(programs, "pg_ctl");
    pg_ctl
        .args(["-m", "immediate", "-w", "stop", "-D"])
        .arg(home.join("data"));
    let mut guard = Command::new("setsid");
    guard.args(["--fork", "sh", "-c", stop, "sh"]).arg(home);
    guard.arg(pg_ctl.get_program()).args(pg_ctl.get_args());
    guard
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(guard.status().unwrap().success());
}

fn user() -> String {
    let output = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
