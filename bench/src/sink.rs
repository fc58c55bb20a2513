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
pub fn answer(mut stream: TcpStream, answer: &[u8]) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse()?;
            }
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        stream.write_all(answer)?;
    }
}
