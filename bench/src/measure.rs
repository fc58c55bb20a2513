//! Clocks, counters and the table.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
        divide: 10,
        waiting: &[1_000, 100_000],
    };

    /// Jobs of a run in batches of `batch`, so that each run takes seconds.
    pub fn jobs(self, batch: usize) -> usize {
        let all = if batch == 1 { 6_000 } else { 100_000 };
        all / self.divide
    }

    pub fn peer_jobs(self) -> usize {
        10_000 / self.divide
    }

    pub fn probes(self) -> usize {
        2_000 / self.divide
    }

    pub fn waiting(self) -> &'static [usize] {
        self.waiting
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
    pub fn cycles_per_second(self) -> f64 {
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
            cpu: cpu_time(),
        }
    }

    pub fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.wall.elapsed().as_secs_f64()
    }

    pub fn cpu_us(&self, count: usize) -> f64 {
        (cpu_time() - self.cpu).as_secs_f64() * 1e6 / count as f64
    }
}

/// User and system time of this process, every thread.
fn cpu_time() -> Duration {
    // SAFETY: a zeroed `rusage` is valid, and the call only writes to the one it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
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

/// An allocator that counts.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A table in Markdown.
pub struct Table {
    title: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: &'static str, head: &[&str]) -> Self {
        Self {
            title,
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
