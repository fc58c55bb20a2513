//! An OTLP receiver that answers and keeps nothing, as a process of its own, so that its work is
//! counted apart from ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::measure::cpu_time;

/// The receiver's process; it ends with this value.
pub struct Sink {
    child: Child,
    pub url: String,
}

impl Sink {
    pub fn start() -> Result<Self> {
        Self::start_as(&["sink"])
    }

    /// Another receiver: this program with these words, which prints its URL.
    pub fn start_as(words: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("the sink has no output")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        Ok(Self {
            child,
            url: url.trim().to_owned(),
        })
    }
}

impl Sink {
    /// The CPU time that it took so far.
    pub fn cpu_so_far(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = text
            .rsplit_once(')')
            .context("no process")?
            .1
            .split_whitespace();
        let ticks: Vec<u64> = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        // SAFETY: it only asks for a number.
        let each = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Ok(Duration::from_secs_f64(
            ticks.iter().sum::<u64>() as f64 / each as f64,
        ))
    }

    /// Ends the process and gives back the CPU time that it took.
    pub fn stop(mut self) -> Result<Duration> {
        let before = cpu_time(libc::RUSAGE_CHILDREN);
        self.child.kill()?;
        self.child.wait()?;
        Ok(cpu_time(libc::RUSAGE_CHILDREN) - before)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The other process: OTLP over HTTP on any free port, which it prints.
pub fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            let _the_client_left = answer(stream, TAKEN);
        });
    }
    Ok(())
}

const TAKEN: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// Answers every request of a connection so.
pub fn answer(stream: TcpStream, answer: &[u8]) -> Result<()> {
    serve_requests(stream, answer, |_body| Ok(()))
}

/// Takes every request of a connection and gives its body to `take`.
pub fn take(stream: TcpStream, take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    serve_requests(stream, TAKEN, take)
}

fn serve_requests(
    mut stream: TcpStream,
    answer: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut body = Vec::new();
    while let Some(length) = body_length(&mut reader)? {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        take(&body)?;
        stream.write_all(answer)?;
    }
    Ok(())
}

/// Reads the head of a request; `None` if the client has left.
fn body_length(reader: &mut impl BufRead) -> Result<Option<usize>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some(length));
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
    }
}
