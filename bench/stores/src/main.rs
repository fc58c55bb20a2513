//! Measures Longshore's stores beside other job queues: the same jobs, the same server, the same
//! durability, in turns, each as its own documents advise for throughput. Prints Markdown.
//!
//! `cargo xtask bench stores` runs everything, `cargo xtask bench stores redis growth` those groups;
//! `--quick` takes fewer rounds and smaller numbers. `LONGSHORE_BENCH_DIR` says on which disk. Servers are
//! private and gone at the end; npm's packages go to the folder of the build. A peer that cannot be
//! had, or that fails, is said with the reason, and the rest goes on.

#[cfg(feature = "apalis")]
mod apalis_peer;
mod bucket;
mod compare;
mod contestant;
#[path = "../../src/direct.rs"]
mod direct;
mod fill;
#[cfg(feature = "graphile")]
mod graphile_peer;
mod growth;
#[path = "../../src/measure.rs"]
#[expect(dead_code, reason = "the other measurements use the rest")]
mod measure;
mod object;
mod ours;
mod page;
#[cfg(feature = "pgmq")]
mod pgmq_peer;
mod program;
mod server;
mod side;
#[path = "../../src/sink.rs"]
#[expect(dead_code, reason = "the other measurements use the rest")]
mod sink;
mod stage;

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use contestant::Tools;
use stage::{Folder, Kind};

/// What can be asked for by name, in the order of the page.
/// Each has such a part of the time.
const GROUPS: [(&str, u32); 6] = [
    ("sqlite", 6),
    ("postgres", 42),
    ("redis", 14),
    ("redis-always", 12),
    ("object", 2),
    ("growth", 24),
];

const USAGE: &str = "\
usage: longshore-bench-stores [--quick] [--rounds N] [--minutes N] [--only WORD] [GROUP...]

  --rounds N    so many turns of all that are compared, if there is time for them
  --minutes N   how long everything may take: 20 unless said otherwise
  --quick       fewer rounds, and smaller numbers of jobs that wait or are over
  --statements  has PostgreSQL count statements, and says which took most, beside the page
  --only WORD   of the peers, only those whose name has this word
  GROUP         sqlite, postgres, redis, redis-always: Longshore and its peers in turns, the last
                with what was acknowledged on Redis' disk at once
                object: requests and bytes on an object store, counted
                growth: many jobs that wait, or are over
";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // The other processes.
        ["sink"] => sink::serve(),
        ["side", name, url, ratio, sink] => {
            let served = contestant::serve(name, url, ratio.parse()?, sink).await;
            side::explain(served)
        }
        words => groups(words).await,
    }
}

/// How much to measure.
#[derive(Clone, Copy)]
pub struct Scale {
    pub rounds: usize,
    /// Whether PostgreSQL counts statements, which costs each of them something.
    pub counts: bool,
    /// Jobs that wait.
    pub waiting: &'static [usize],
    /// Jobs that are over.
    pub over: &'static [usize],
}

async fn groups(words: &[&str]) -> Result<()> {
    let mut scale = Scale {
        rounds: 7,
        counts: false,
        waiting: &[1_000, 100_000, 1_000_000],
        over: &[1_000, 1_000_000, 10_000_000],
    };
    let (mut names, mut only, mut minutes) = (Vec::new(), None, 20);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--quick" => {
                scale.rounds = 2;
                scale.waiting = &[1_000, 100_000];
                scale.over = &[1_000, 100_000];
            }
            "--rounds" => scale.rounds = words.next().context(USAGE)?.parse()?,
            "--statements" => scale.counts = true,
            "--minutes" => minutes = words.next().context(USAGE)?.parse()?,
            "--only" => only = Some(words.next().context(USAGE)?),
            name => match GROUPS.iter().find(|(group, _)| *group == name) {
                Some(group) => names.push(*group),
                None => bail!("{USAGE}"),
            },
        }
    }
    if names.is_empty() {
        names = GROUPS.to_vec();
    }
    let folder = Folder::new()?;
    println!("{}\n", measure::machine());
    let wanted: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let tools = Tools::find(&wanted, only)?;
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut parts: u32 = names.iter().map(|(_, part)| part).sum();
    for (name, part) in names {
        let now = Instant::now();
        // What one group leaves the next ones have.
        let until = now + end.saturating_duration_since(now) * part / parts;
        parts -= part;
        let compared = async |kind| compare::rows(kind, &folder, scale, &tools, until).await;
        let measured = match name {
            "sqlite" => compared(Kind::Sqlite).await,
            "postgres" => compared(Kind::Postgres).await,
            "redis" => compared(Kind::Redis).await,
            "redis-always" => compared(Kind::RedisAlways).await,
            "object" => object::rows().await,
            _ => growth::rows(&folder, scale, until).await,
        };
        eprintln!("{name}: {:.0} s", now.elapsed().as_secs_f64());
        if let Err(error) = measured {
            println!("### {name}\n\nnot measured: {error:#}\n");
        }
    }
    Ok(())
}

/// Where servers and peers write what they have to say.
fn log_path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let name = format!("longshore-bench-stores-{}.log", std::process::id());
        std::env::temp_dir().join(name)
    })
}

fn log() -> Result<Stdio> {
    let file = File::options().append(true).create(true).open(log_path());
    Ok(file.context("cannot write a log")?.into())
}
