//! Measures Longshore beside its peers and beside bare SQL, all in one run, all as durable: WAL
//! with `synchronous=FULL`. Prints tables in Markdown.
//!
//! `cargo xtask bench` runs everything, `cargo xtask bench latency worker` those groups; `--quick`
//! takes a fifth of the rounds and leaves out a million waiting jobs. `LONGSHORE_BENCH_DIR` says
//! on which disk. What is compared with each other is measured in turns; figures are medians, and
//! the quartiles stand in brackets where a target is judged by them.

mod allocator;
mod bridge;
mod direct;
mod fault;
mod flood;
mod floor;
mod growth;
mod keep;
mod latency;
mod limits;
mod measure;
mod peer;
mod redaction;
mod schedules;
mod sink;
mod storage;
mod store;
mod telemetry;
mod tracestore;
mod tui;
mod unique;
mod worker;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use measure::Scale;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// What can be asked for by name, in the order of the page.
const GROUPS: [&str; 14] = [
    "store",
    "unique",
    "limits",
    "worker",
    "work",
    "peer",
    "telemetry",
    "latency",
    "growth",
    "schedules",
    "fault",
    "tracestore",
    "tui",
    "keep",
];

/// What is measured if nothing is asked for: keeping takes as long as all the rest.
const USUAL: &[&str] = {
    let (usual, _keep) = GROUPS.split_at(GROUPS.len() - 1);
    usual
};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // The other process of the rows with tracing.
        ["sink"] => sink::serve(),
        // The other process of the latency rows.
        ["produce", path, count, pause_us] => {
            latency::produce_elsewhere(Path::new(path), count.parse()?, pause_us.parse()?).await
        }
        ["otlp-receiver", folder] => tracestore::serve(folder).await,
        ["faulty-receiver", fault] => fault::serve(fault),
        ["keep-role", role @ ..] => keep::role(role).await,
        ["search", spans] => {
            let folder = Folder::new()?;
            tracestore::search_rows(&folder.fresh().with_extension("log"), spans.parse()?)
        }
        ["run", tracing, jobs] => run(tracing, jobs.parse()?).await,
        words => groups(words).await,
    }
}

async fn groups(words: &[&str]) -> Result<()> {
    let (options, mut names): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.starts_with('-'));
    let known = |name: &&str| GROUPS.contains(name);
    if !options.iter().all(|&option| option == "--quick") || !names.iter().all(known) {
        bail!(
            "usage: longshore-bench [--quick] [GROUP...], of {}; or, for a profiler, \
             longshore-bench run off|RATIO[,log|,log+export] JOBS or longshore-bench search SPANS",
            GROUPS.join(", ")
        );
    }
    let scale = if options.is_empty() {
        Scale::FULL
    } else {
        Scale::QUICK
    };
    if names.is_empty() {
        names = USUAL.to_vec();
    }
    let folder = Folder::new()?;
    println!("{}\n", measure::machine());
    for name in names {
        match name {
            "store" => store::rows(&folder, scale).await?,
            "unique" => unique::rows(&folder, scale).await?,
            "limits" => limits::rows(&folder, scale).await?,
            "worker" => worker::rows(&folder, scale).await?,
            "work" => worker::rows_of_work(&folder, scale).await?,
            "peer" => peer::rows(&folder, scale).await?,
            "telemetry" => telemetry::rows(&folder).await?,
            "latency" => latency::rows(&folder, scale).await?,
            "growth" => growth::rows(&folder, scale).await?,
            "schedules" => schedules::rows(&folder).await?,
            "fault" => fault::rows(&folder, scale).await?,
            "tracestore" => tracestore::rows(&folder, scale).await?,
            "tui" => tui::rows(&folder, scale)?,
            _ => keep::rows(&folder).await?,
        }
    }
    println!(
        "memory at the end: {} MB resident",
        measure::megabytes_resident()
    );
    Ok(())
}

/// One run of producer and worker, for a profiler.
async fn run(tracing: &str, jobs: usize) -> Result<()> {
    let folder = Folder::new()?;
    let tracing = match tracing.split_once(',').unwrap_or((tracing, "")) {
        ("off", "") => None,
        (ratio, way) => {
            let way = match way {
                "" => worker::Way::Memory,
                "log" => worker::Way::Log,
                "log+export" => worker::Way::LogAndExport,
                _ => bail!("spans cannot go by `{way}`; say log or log+export"),
            };
            Some(worker::Tracing::of(ratio.parse()?).by(way))
        }
    };
    let setup = worker::Setup {
        tracing,
        jobs,
        singles: 0,
        concurrency: 100,
        turns: 0,
    };
    let run = worker::end_to_end(&folder.fresh(), setup).await?;
    println!(
        "enqueue {:.0}/s, {:.1} µs CPU each; run {:.0}/s, {:.1} µs CPU each; {} spans written \
         down, {} exported, {} lost",
        run.enqueue_per_second,
        run.enqueue_cpu_us,
        run.run_per_second,
        run.run_cpu_us,
        run.logged,
        run.exported,
        run.dropped,
    );
    Ok(())
}

/// A fresh folder for the files of a run, removed at its end.
struct Folder {
    path: PathBuf,
    files: Cell<usize>,
}

impl Folder {
    fn new() -> Result<Self> {
        let base =
            std::env::var_os("LONGSHORE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = base.join(format!("longshore-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self {
            path,
            files: Cell::new(0),
        })
    }

    /// The path of a database that is not there yet. The ones before it are removed.
    fn fresh(&self) -> PathBuf {
        let number = self.files.replace(self.files.get() + 1);
        if let Some(before) = number.checked_sub(1) {
            for end in ["", "-wal", "-shm"] {
                let path = self.path.join(format!("{before}.db{end}"));
                let _never_made = std::fs::remove_file(path);
            }
        }
        self.path.join(format!("{number}.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.path);
    }
}
