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
mod direct;
#[cfg(feature = "graphile")]
mod graphile_peer;
mod growth;
#[path = "../../src/measure.rs"]
#[expect(dead_code, reason = "the other measurements use the rest")]
mod measure;
mod object;
mod ours;
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

use anyhow::{Context, Result, bail};

use contestant::Tools;
use stage::{Folder, Kind};

/// What can be asked for by name, in the order of the page.
const GROUPS: [&str; 5] = ["sqlite", "postgres", "redis", "object", "growth"];

const USAGE: &str = "\
usage: longshore-bench-stores [--quick] [--rounds N] [--only WORD] [GROUP...]

  --rounds N    so many turns of all that are compared
  --quick       fewer rounds, and smaller numbers of jobs that wait or are over
  --only WORD   of the peers, only those whose name has this word
  GROUP         sqlite, postgres, redis: Longshore and its peers in turns
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
    /// Jobs that wait.
    pub waiting: &'static [usize],
    /// Jobs that are over.
    pub over: &'static [usize],
}

async fn groups(words: &[&str]) -> Result<()> {
    let mut scale = Scale {
        rounds: 3,
        waiting: &[1_000, 100_000, 1_000_000],
        over: &[1_000, 1_000_000, 10_000_000],
    };
    let (mut names, mut only) = (Vec::new(), None);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--quick" => {
                scale = Scale {
                    rounds: 2,
                    waiting: &[1_000, 100_000],
                    over: &[1_000, 100_000],
                };
            }
            "--rounds" => scale.rounds = words.next().context(USAGE)?.parse()?,
            "--only" => only = Some(words.next().context(USAGE)?),
            name if GROUPS.contains(&name) => names.push(name),
            _ => bail!("{USAGE}"),
        }
    }
    if names.is_empty() {
        names = GROUPS.to_vec();
    }
    let folder = Folder::new()?;
    println!("{}\n", measure::machine());
    let tools = Tools::find(&names, only)?;
    for name in names {
        match name {
            "sqlite" => compare::rows(Kind::Sqlite, &folder, scale, &tools).await?,
            "postgres" => compare::rows(Kind::Postgres, &folder, scale, &tools).await?,
            "redis" => compare::rows(Kind::Redis, &folder, scale, &tools).await?,
            "object" => object::rows().await?,
            _ => growth::rows(&folder, scale).await?,
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
