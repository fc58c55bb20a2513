//! Who is measured, and how its program is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ours::Ours;
use crate::side;
use crate::stage::Kind;

/// A queue, or a way to run it.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    pub name: &'static str,
    how: How,
    /// Most jobs that may wait at a time, where more than that breaks it.
    pub most_waiting: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Longshore, with this share of traces sampled.
    Ours(f64),
    /// The same, whose store's requests have no spans.
    OursWithoutStorage(f64),
    /// Another one in this program.
    Rust(&'static str),
    Awa,
    Node(&'static str),
}

const fn of(name: &'static str, how: How) -> Contestant {
    Contestant {
        name,
        how,
        most_waiting: None,
    }
}

const OURS: [Contestant; 4] = [
    of("Longshore, no tracing", How::Ours(0.0)),
    of("Longshore, tracing 1 %", How::Ours(0.01)),
    of("Longshore, tracing 100 %", How::Ours(1.0)),
    of("the same, no storage spans", How::OursWithoutStorage(1.0)),
];

const POSTGRES: [Contestant; 5] = [
    of("apalis-postgres 1.0.0", How::Rust("apalis-postgres")),
    of("graphile_worker 0.14.1 (Rust)", How::Rust("graphile")),
    of("graphile-worker 0.18.0 (Node)", How::Node("graphile")),
    of("awa 0.6.9", How::Awa),
    of("pgmq 0.34.0-alpha.7", How::Rust("pgmq")),
];

const REDIS: [Contestant; 2] = [
    // From 8,000 on its workers end with "too many results to unpack".
    Contestant {
        most_waiting: Some(7_000),
        ..of("apalis-redis 1.0.0", How::Rust("apalis-redis"))
    },
    of("BullMQ 6.7.0 (Node)", How::Node("bullmq")),
];

const OURS_NAME: &str = "longshore";
const OURS_WITHOUT_STORAGE: &str = "longshore-without-storage";

/// npm's packages, with their versions.
const PACKAGES: [&str; 4] = [
    "bullmq@6.7.0",
    "graphile-worker@0.18.0",
    "ioredis@5.11.1",
    // The oldest that graphile-worker takes is younger than Debian's.
    "node@24.21.0",
];

/// What peers need beside this program.
pub struct Tools {
    awa: Result<PathBuf, String>,
    /// Where npm's packages are.
    node: Result<PathBuf, String>,
    only: Option<String>,
}

impl Tools {
    /// Gets what the groups need; what cannot be had is said in the tables.
    pub fn find(groups: &[&str], only: Option<&str>) -> Result<Self> {
        let me = std::env::current_exe()?;
        let build = me.parent().context("this program lies in no folder")?;
        let needed = |groups_of_it: &[&str], names: &[&str]| {
            let wanted = |name: &&str| only.is_none_or(|only| name.contains(only));
            groups.iter().any(|group| groups_of_it.contains(group)) && names.iter().any(wanted)
        };
        let unused = || Err("not asked for".to_owned());
        Ok(Self {
            awa: match needed(&["postgres"], &["awa 0.6.9"]) {
                true => build_awa(build).map_err(|error| format!("{error:#}")),
                false => unused(),
            },
            node: match needed(
                &["postgres", "redis", "redis-always"],
                &["graphile-worker 0.18.0 (Node)", "BullMQ 6.7.0 (Node)"],
            ) {
                true => install(build).map_err(|error| format!("{error:#}")),
                false => unused(),
            },
            only: only.map(str::to_owned),
        })
    }

    /// Who runs on such a server. Longshore comes first.
    pub fn contestants(&self, kind: Kind) -> Vec<Contestant> {
        let peers: &[Contestant] = match kind {
            Kind::Sqlite => &[],
            Kind::Postgres => &POSTGRES,
            Kind::Redis | Kind::RedisAlways => &REDIS,
        };
        let only = |peer: &&Contestant| self.only.as_ref().is_none_or(|it| peer.name.contains(it));
        OURS.iter()
            .chain(peers.iter().filter(only))
            .copied()
            .collect()
    }

    /// The words that start a program of this contestant.
    pub fn words(&self, contestant: Contestant, url: &str, sink: &str) -> Result<Vec<String>> {
        let me = std::env::current_exe()?.display().to_string();
        let side = |name: &str, ratio: f64| {
            let words = [&me, "side", name, url, &ratio.to_string(), sink];
            words.map(str::to_owned).to_vec()
        };
        Ok(match contestant.how {
            How::Ours(ratio) => side(OURS_NAME, ratio),
            How::OursWithoutStorage(ratio) => side(OURS_WITHOUT_STORAGE, ratio),
            How::Rust(name) => side(name, 0.0),
            How::Awa => match &self.awa {
                Ok(program) => vec![program.display().to_string(), url.to_owned()],
                Err(error) => bail!("{error}"),
            },
            How::Node(name) => match &self.node {
                Ok(packages) => {
                    let node = packages.join("node_modules/node/bin/node");
                    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/peers.mjs");
                    let words = [&node, &script, Path::new(name), Path::new(url), packages];
                    words.map(|word| word.display().to_string()).to_vec()
                }
                Err(error) => bail!("{error}"),
            },
        })
    }
}

/// awa is a workspace of its own, since what it depends on cannot be linked beside Longshore.
fn build_awa(build: &Path) -> Result<PathBuf> {
    let target = build.parent().context("the build lies in no folder")?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("awa/Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target);
    run(cargo, "it cannot be built")?;
    Ok(target.join("release/longshore-bench-awa"))
}

/// Installs npm's packages beside this program.
fn install(build: &Path) -> Result<PathBuf> {
    let folder = build.join("longshore-bench-npm");
    let node = folder.join("node_modules/node/bin/node");
    let there = |package: &str| {
        let name = package.split('@').next().unwrap_or_default();
        folder.join("node_modules").join(name).is_dir()
    };
    if !PACKAGES.iter().all(|package| there(package)) || !node.is_file() {
        std::fs::create_dir_all(&folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix", "."])
            .args(PACKAGES)
            .current_dir(&folder);
        run(npm, "npm cannot install it")?;
    }
    if !node.is_file() {
        bail!("npm's package node holds no program");
    }
    Ok(folder)
}

fn run(mut command: Command, problem: &str) -> Result<()> {
    let command = command.stdin(Stdio::null()).stdout(crate::log()?);
    let status = command
        .stderr(crate::log()?)
        .status()
        .context("cannot start")?;
    if !status.success() {
        bail!("{problem}: see {}", crate::log_path().display());
    }
    Ok(())
}

/// Runs the measured program of this name.
pub async fn serve(name: &str, url: &str, ratio: f64, sink: &str) -> Result<()> {
    match name {
        OURS_NAME => side::serve(Ours::new(url, (ratio, true), sink)?).await,
        OURS_WITHOUT_STORAGE => side::serve(Ours::new(url, (ratio, false), sink)?).await,
        #[cfg(feature = "apalis")]
        "apalis-postgres" => side::serve(crate::apalis_peer::Postgres::new(url).await?).await,
        #[cfg(feature = "apalis")]
        "apalis-redis" => side::serve(crate::apalis_peer::Redis::new(url).await?).await,
        #[cfg(feature = "graphile")]
        "graphile" => side::serve(crate::graphile_peer::Graphile::new(url)).await,
        #[cfg(feature = "pgmq")]
        "pgmq" => side::serve(crate::pgmq_peer::Pgmq::new(url).await?).await,
        _ => bail!("this program was built without {name}"),
    }
}
