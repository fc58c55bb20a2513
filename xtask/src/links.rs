//! Whether an application can depend on Longshore and on sqlx's SQLite at once. A program may link
//! SQLite once only, so both must agree on the version of `libsqlite3-sys`; cargo refuses a graph
//! with two when it resolves it, long before anything is compiled.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run;

/// The oldest sqlx that an application may be held to.
const SQLX: &str = "0.9";

/// Resolves a program that depends on both.
pub(crate) fn check(root: &Path) -> Result<()> {
    let folder = root.join("target/xtask-links");
    fs::create_dir_all(folder.join("src")).context("cannot make a folder for the program")?;
    fs::write(folder.join("src/lib.rs"), "")?;
    fs::write(folder.join("Cargo.toml"), manifest(root))?;
    // So that what is not new stays as it is locked.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("cannot copy the lock")?;
    let update = run::command(&folder, "cargo", &["update", "--workspace", "--quiet"]);
    run::succeed(update).with_context(|| {
        format!(
            "longshore-sqlite and sqlx {SQLX} cannot be in one program: keep rusqlite at a \
             version whose libsqlite3-sys sqlx allows"
        )
    })?;
    let lock = fs::read_to_string(folder.join("Cargo.lock"))?;
    for package in ["longshore-sqlite", "sqlx-sqlite", "libsqlite3-sys"] {
        let found = times(&lock, package);
        if found != 1 {
            bail!("the program has {found} of {package}, not one");
        }
    }
    Ok(())
}

fn manifest(root: &Path) -> String {
    let store = root.join("crates/stores/sqlite");
    format!(
        "[workspace]\n\n[package]\nname = \"links\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n\
         longshore-sqlite = {{ path = {store:?} }}\n\
         sqlx = {{ version = \"{SQLX}\", default-features = false, \
         features = [\"runtime-tokio\", \"sqlite\"] }}\n"
    )
}

/// How often a package is in a lock file.
fn times(lock: &str, package: &str) -> usize {
    let line = format!("name = \"{package}\"");
    lock.lines().filter(|found| *found == line).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_by_their_whole_names() {
        let lock = "name = \"sqlx\"\nname = \"sqlx-sqlite\"\nname = \"sqlx\"\n";
        assert_eq!((times(lock, "sqlx"), times(lock, "sqlx-sqlite")), (2, 1));
    }
}
