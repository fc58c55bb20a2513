//! `longshore enqueue --lines`: one job per line of JSON, in batches.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use longshore_core::{Enqueued, NewJob, StoreError};
use longshore_queue::JobRequest;

use crate::args::Enqueue;
use crate::desk::Desk;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::Session;

/// Jobs of one batch; each batch is durable before the next is read.
const BATCH: usize = 500;
/// Most bytes of args in a batch, so that long lines do not fill the memory.
const BATCH_BYTES: usize = 8 << 20;

/// What is the same for every line.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) args: &'a Enqueue,
    pub(super) desk: &'a Desk,
}

/// Where the lines come from.
pub(crate) struct Input {
    name: String,
    reader: Box<dyn BufRead + Send>,
    bytes: Option<u64>,
    read: u64,
    line: u64,
}

/// What became of the lines so far.
#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    created: u64,
    hits: u64,
    replaced: u64,
}

impl Stored {
    fn add(&mut self, enqueued: &Enqueued) {
        let count = match enqueued {
            Enqueued::Created { .. } => &mut self.created,
            Enqueued::Hit { .. } => &mut self.hits,
            Enqueued::Replaced { .. } => &mut self.replaced,
        };
        *count += 1;
    }

    const fn lines(self) -> u64 {
        self.created + self.hits + self.replaced
    }

    fn told(self) -> String {
        let mut told = format!("{} enqueued", crate::text::counted(self.created, "job"));
        if self.hits > 0 {
            told.push_str(&format!(", {} there already", self.hits));
        }
        if self.replaced > 0 {
            told.push_str(&format!(", {} waiting with new args", self.replaced));
        }
        told.push('.');
        told
    }
}

/// A line that holds a job.
pub(super) struct Line {
    number: u64,
    pub(super) body: Bytes,
}

impl Input {
    /// A file, or stdin for `-`.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        if file.as_os_str() == "-" {
            return Ok(Self {
                name: "stdin".to_owned(),
                reader: Box::new(BufReader::with_capacity(1 << 16, std::io::stdin())),
                bytes: None,
                read: 0,
                line: 0,
            });
        }
        let name = file.display().to_string();
        let opened = File::open(file).with_context(|| format!("{name} could not be opened"))?;
        let metadata = opened.metadata();
        let bytes = metadata
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len());
        Ok(Self {
            name,
            reader: Box::new(BufReader::with_capacity(1 << 16, opened)),
            bytes,
            read: 0,
            line: 0,
        })
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Line>> {
        let most = u64::try_from(NewJob::MAX_ARGS_BYTES).unwrap_or(u64::MAX);
        loop {
            let mut bytes = Vec::new();
            let mut bounded = (&mut self.reader).take(most.saturating_add(2));
            let read = bounded
                .read_until(b'\n', &mut bytes)
                .with_context(|| format!("{} could not be read", self.name))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.read += u64::try_from(read).unwrap_or(0);
            let body = bytes.trim_ascii();
            if body.len() > NewJob::MAX_ARGS_BYTES {
                bail!(
                    "line {} of {} is longer than {most} bytes",
                    self.line,
                    self.name
                );
            }
            if body.is_empty() {
                continue;
            }
            if let Err(error) = super::check_json(body) {
                // The parser sees one line and calls it the first.
                let error = error.to_string().replace("line 1 column", "column");
                bail!(
                    "line {} of {} is not JSON ({error}): `{}`",
                    self.line,
                    self.name,
                    crate::text::one_line(&String::from_utf8_lossy(body), 60)
                );
            }
            let body = Bytes::copy_from_slice(body);
            return Ok(Some(Line {
                number: self.line,
                body,
            }));
        }
    }

    fn progress(&self, output: &Output, stored: u64) {
        if !output.shows_progress() {
            return;
        }
        let of = match self.bytes {
            Some(bytes) if bytes > 0 => {
                let percent = self.read.saturating_mul(100) / bytes;
                let full = usize::try_from(percent / 4).unwrap_or(25).min(25);
                format!(
                    " [{}{}] {percent:>3} %",
                    "█".repeat(full),
                    "·".repeat(25 - full)
                )
            }
            _ => String::new(),
        };
        output.progress(&format!("{stored} jobs enqueued{of}"));
    }
}

/// Enqueues all lines; stops at the first that is wrong, with everything before it stored.
pub(super) async fn run(errand: Errand<'_>, mut input: Input) -> anyhow::Result<Exit> {
    let session = errand.session;
    let (stored, problem) = all(errand, &mut input).await;
    session.output.end_progress();
    let Some(problem) = problem else {
        session.output.talk(&stored.told());
        return Ok(Exit::Done);
    };
    let exit = crate::exit::report(session.output, &problem);
    let before = match stored.lines() {
        0 => "Nothing is enqueued".to_owned(),
        1 => "The job of the line before is enqueued".to_owned(),
        lines => format!("The {lines} jobs of the lines before are enqueued"),
    };
    let next = match exit {
        // A call whose answer did not come may have been done.
        Exit::StoreUnavailable => {
            "enqueue from the next line on, once `longshore jobs list` has shown that it is not stored"
        }
        _ => "mend that line, and enqueue from it on",
    };
    session.output.talk(&format!("{before}: {next}."));
    Ok(exit)
}

async fn all(errand: Errand<'_>, input: &mut Input) -> (Stored, Option<anyhow::Error>) {
    let mut stored = Stored::default();
    loop {
        let (batch, end) = batch(input);
        if let Err(error) = store(errand, &batch, &mut stored, &input.name).await {
            return (stored, Some(error));
        }
        input.progress(errand.session.output, stored.lines());
        match end {
            Ok(true) => return (stored, None),
            Ok(false) => {}
            Err(error) => return (stored, Some(error)),
        }
    }
}

/// The next lines, and whether they were the last ones, or what is wrong with the one after them.
fn batch(input: &mut Input) -> (Vec<Line>, anyhow::Result<bool>) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < BATCH && bytes < BATCH_BYTES {
        match input.next() {
            Ok(Some(line)) => {
                bytes += line.body.len();
                lines.push(line);
            }
            Ok(None) => return (lines, Ok(true)),
            Err(error) => return (lines, Err(error)),
        }
    }
    (lines, Ok(false))
}

async fn store(
    errand: Errand<'_>,
    lines: &[Line],
    stored: &mut Stored,
    name: &str,
) -> anyhow::Result<()> {
    let Errand {
        session,
        args,
        desk,
    } = errand;
    let Some(first) = lines.first() else {
        return Ok(());
    };
    let requests: Result<Vec<JobRequest>, _> = lines
        .iter()
        .map(|line| super::request(args, desk.caller(), line.body.clone()))
        .collect();
    let requests = requests?;
    let answers = desk.producer().enqueue_many(requests).await;
    let answers = answers.with_context(|| format!("from line {} of {name} on", first.number))?;
    for (line, answer) in lines.iter().zip(answers) {
        let answer: Result<Enqueued, StoreError> = answer;
        let enqueued = answer.with_context(|| format!("line {} of {name}", line.number))?;
        stored.add(&enqueued);
        super::show(session, args, &enqueued).await?;
    }
    Ok(())
}
