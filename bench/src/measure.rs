//! Clocks, samples and the table.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How much to measure.
#[derive(Clone, Copy)]
pub struct Scale {
    divide: usize,
    waiting: &'static [usize],
}

impl Scale {
    pub const FULL: Self = Self {
        divide: 1,
        waiting: &[1_000, 100_000, 1_000_000],
    };
    pub const QUICK: Self = Self {
        divide: 5,
        waiting: &[1_000, 100_000],
    };

    /// Rounds of a group of rows that are measured in turns, or a fifth of them; at least two.
    pub fn rounds(self, full: usize) -> usize {
        (full / self.divide).max(2)
    }

    pub fn waiting(self) -> &'static [usize] {
        self.waiting
    }
}

/// What the variants of one thing came to, measured in turns, so that what else the machine does
/// meets all of them alike.
pub struct Turns<R> {
    runs: Vec<Vec<R>>,
}

impl<R> Turns<R> {
    /// Runs each of `variants` once a round, beginning with another one each time.
    pub async fn take(
        variants: usize,
        rounds: usize,
        mut run: impl AsyncFnMut(usize) -> Result<R>,
    ) -> Result<Self> {
        let mut runs: Vec<Vec<R>> = (0..variants).map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for turn in 0..variants {
                let variant = (round + turn) % variants;
                runs[variant].push(run(variant).await?);
            }
        }
        Ok(Self { runs })
    }

    pub fn runs(&self, variant: usize) -> &[R] {
        &self.runs[variant]
    }

    /// One figure of one variant.
    pub fn of(&self, variant: usize, figure: impl Fn(&R) -> f64) -> Samples {
        self.runs[variant].iter().map(figure).collect()
    }

    /// That figure, each divided by the one of `base` in the same round.
    pub fn ratio(&self, variant: usize, base: usize, figure: impl Fn(&R) -> f64) -> Samples {
        let pairs = self.runs[variant].iter().zip(&self.runs[base]);
        pairs
            .map(|(run, base)| figure(run) / figure(base))
            .collect()
    }
}

/// A figure, measured several times.
pub struct Samples(Vec<f64>);

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl Samples {
    /// The value that `share` of all lie below.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get((last as f64 * share).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The median.
    pub fn cell(&self, digits: usize) -> String {
        format!("{:.digits$}", self.median())
    }

    /// The median and, in brackets, the quartiles.
    pub fn spread(&self, digits: usize) -> String {
        let (low, high) = (self.quantile(0.25), self.quantile(0.75));
        format!(
            "{:.digits$} ({low:.digits$}–{high:.digits$})",
            self.median()
        )
    }
}

/// What a run of enqueueing and then draining came to.
#[derive(Clone, Copy)]
pub struct Rate {
    pub enqueue_per_second: f64,
    pub drain_per_second: f64,
    /// CPU of the measured part, per job.
    pub cpu_us: f64,
}

impl Rate {
    /// Of enqueue, claim and settle, one after the other.
    pub fn cycles_per_second(&self) -> f64 {
        1.0 / (1.0 / self.enqueue_per_second + 1.0 / self.drain_per_second)
    }
}

/// Wall and CPU time since it was started.
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(libc::RUSAGE_SELF),
        }
    }

    pub fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.wall.elapsed().as_secs_f64()
    }

    pub fn cpu_us(&self, count: usize) -> f64 {
        (cpu_time(libc::RUSAGE_SELF) - self.cpu).as_secs_f64() * 1e6 / count as f64
    }

    /// CPU time by wall time.
    pub fn cpu_share(&self) -> f64 {
        let cpu = cpu_time(libc::RUSAGE_SELF) - self.cpu;
        cpu.as_secs_f64() / self.wall.elapsed().as_secs_f64()
    }
}

/// The CPU time of this thread so far: unlike the time that passes, it is the same however much else
/// the machine does.
pub fn busy() -> Duration {
    cpu_time(libc::RUSAGE_THREAD)
}

/// User and system time of this process (`RUSAGE_SELF`), every thread, or of the processes that
/// it started and that have ended (`RUSAGE_CHILDREN`).
pub fn cpu_time(whose: libc::c_int) -> Duration {
    // SAFETY: a zeroed `rusage` is valid, and the call only writes to the one it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}

pub fn megabytes_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

/// One line about the machine.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown CPU");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("{cores} cores of {model}, load before the run {load}")
}

/// A table in Markdown.
pub struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        Self {
            title: title.into(),
            head: head.iter().map(|&cell| cell.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn print(self) {
        println!("### {}\n", self.title);
        println!("| {} |", self.head.join(" | "));
        println!("|{}", " --- |".repeat(self.head.len()));
        for row in self.rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }
}
