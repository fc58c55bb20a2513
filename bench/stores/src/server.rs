//! Private servers: on loopback, on a free port, with a folder of their own, gone with this value.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, geteuid, kill_process, set_parent_process_death_signal};

/// A server that runs.
pub struct Server {
    child: Child,
    data: PathBuf,
    pub port: u16,
}

impl Server {
    /// PostgreSQL with these settings, `name=value`.
    pub fn postgres(folder: &Path, settings: &[&str]) -> Result<Self> {
        let programs = postgres_programs().context("PostgreSQL is not installed")?;
        let data = folder.join("postgres");
        std::fs::create_dir_all(&data)?;
        let owner = geteuid().is_root().then(nobody).transpose()?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&data, Some(user), Some(group))?;
        }
        let mut make = as_user(Command::new(programs.join("initdb")), owner);
        make.args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&data);
        let made = make.stdout(Stdio::null()).stderr(crate::log()?).status()?;
        if !made.success() {
            bail!("initdb failed: {made}");
        }
        let port = free_port()?;
        let mut run = as_user(Command::new(programs.join("postgres")), owner);
        run.arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="]);
        for setting in settings {
            run.args(["-c", setting]);
        }
        Self::run(run, data, port, Signal::QUIT)
    }

    /// Redis with these settings, `--name value`.
    pub fn redis(folder: &Path, settings: &[&str]) -> Result<Self> {
        let data = folder.join("redis");
        std::fs::create_dir_all(&data)?;
        let port = free_port()?;
        let mut run = Command::new("redis-server");
        run.args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(settings)
            .current_dir(&data);
        Self::run(run, data, port, Signal::KILL)
    }

    /// Starts it so that it ends with this process, however that ends.
    fn run(mut command: Command, data: PathBuf, port: u16, end: Signal) -> Result<Self> {
        let command = command
            .stdin(Stdio::null())
            .stdout(crate::log()?)
            .stderr(crate::log()?);
        // SAFETY: it is one system call, which may be made between fork and exec.
        unsafe {
            command.pre_exec(move || Ok(set_parent_process_death_signal(Some(end))?));
        }
        let child = command.spawn();
        let name = command.get_program().display().to_string();
        let child = child.with_context(|| format!("cannot start {name}; is it installed?"))?;
        let server = Self { child, data, port };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if started.elapsed() > Duration::from_secs(30) {
                bail!("{name} does not answer");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// The CPU seconds of the server so far: of its processes, and of those that have ended.
    pub fn cpu(&self) -> f64 {
        let id = self.child.id();
        let children = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let children = children.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = children.filter(|&child| Stat::of(child).is_some_and(|it| it.parent == id));
        let living: f64 = children.map(cpu_of).sum();
        living + Stat::of(id).map_or(0.0, |stat| stat.own + stat.of_ended_children)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Which ends those of PostgreSQL at once.
        let _gone = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let ended = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        if !ended {
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
        let _gone = std::fs::remove_dir_all(&self.data);
    }
}

/// The CPU seconds that a process took so far.
pub fn cpu_of(id: u32) -> f64 {
    Stat::of(id).map_or(0.0, |stat| stat.own)
}

/// What Linux says of a process; times in seconds.
struct Stat {
    parent: u32,
    own: f64,
    of_ended_children: f64,
}

impl Stat {
    fn of(id: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before the parenthesis may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let each = clock_ticks_per_second() as f64;
        let seconds = |index: usize| Some(fields.get(index)?.parse::<u64>().ok()? as f64 / each);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            of_ended_children: seconds(13)? + seconds(14)?,
        })
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Where the programs of the newest PostgreSQL here are.
fn postgres_programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let debian = debian.into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = debian.map(|entry| entry.path()).max_by_key(version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = newest
        .map(|path| path.join("bin"))
        .into_iter()
        .chain(std::env::split_paths(&path));
    all.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// User and group `nobody`, since PostgreSQL refuses to run as root.
fn nobody() -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("nobody:"));
    let mut fields = line.context("there is no user nobody")?.split(':').skip(2);
    let mut number = || anyhow::Ok(fields.next().context("no number")?.parse()?);
    Ok((number()?, number()?))
}

fn as_user(mut command: Command, owner: Option<(u32, u32)>) -> Command {
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}
