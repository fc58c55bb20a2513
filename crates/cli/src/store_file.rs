//! The file of a SQLite store that is named and is not there: nobody who only looks makes one.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use longshore_sqlite::SqliteOptions;

/// How the file of a SQLite database begins.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
/// The `application_id` of a store, and where it stands in the file.
const OURS: (&[u8], std::ops::Range<usize>) = (b"LSHO", 68..72);
/// Most entries of a folder that are looked at.
const MOST_LOOKED_AT: usize = 10_000;
/// Most stores that are named.
const MOST_NAMED: usize = 5;

/// A store that is named and is not there.
#[derive(Debug)]
pub(crate) struct NoStore {
    path: PathBuf,
    /// Whether somebody said where it is; else it is the one of the user's data folder.
    told: bool,
    /// The stores that lie in the same folder, those with the likeliest names first.
    beside: Vec<PathBuf>,
}

impl NoStore {
    /// What to say of a file that is not there.
    pub(crate) fn new(path: PathBuf, told: bool) -> Self {
        let beside = stores_beside(&path);
        Self { path, told, beside }
    }

    /// Whether somebody said where the store is.
    pub(crate) const fn is_told(&self) -> bool {
        self.told
    }

    /// A command that leads on: to the only store that lies there, else to a new one.
    pub(crate) fn remedy(&self) -> String {
        match self.beside.as_slice() {
            [only] => format!("export LONGSHORE_STORE={}", quoted("sqlite:", only)),
            _ if self.told => self.making(),
            _ => "longshore demo".to_owned(),
        }
    }

    /// The command that makes it.
    fn making(&self) -> String {
        let url = quoted("sqlite:", &self.path);
        format!("longshore --store {url} enqueue QUEUE KIND")
    }
}

impl fmt::Display for NoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.told {
            let path = self.path.display();
            return write!(
                f,
                "there is no store yet, which would be {path}: `longshore demo` shows what one is, \
                 `longshore enqueue QUEUE KIND` makes it, --store URL names another"
            );
        }
        write!(
            f,
            "--store or LONGSHORE_STORE: {}; `{}` makes one",
            nothing_but(&self.path, &self.beside),
            self.making()
        )
    }
}

impl std::error::Error for NoStore {}

/// What to say of a store that is not there: where, and which stores lie in its folder.
pub(crate) fn nothing_at(path: &Path) -> String {
    nothing_but(path, &stores_beside(path))
}

fn nothing_but(path: &Path, beside: &[PathBuf]) -> String {
    let nothing = format!("there is no store at {}", path.display());
    let beside: Vec<String> = beside.iter().map(|one| quoted("sqlite:", one)).collect();
    match beside.is_empty() {
        true => nothing,
        false => format!("{nothing}; in its folder there is {}", beside.join(", ")),
    }
}

/// The file that the URL of a SQLite store names, if there is none. One that is empty is none either.
/// Where the folder of a store that is `told` is not there, opening it says so.
pub(crate) fn absent(url: &str, told: bool) -> Option<PathBuf> {
    let path = SqliteOptions::from_url(url).ok()?.path().to_owned();
    let is_there = path
        .metadata()
        .is_ok_and(|found| found.is_dir() || found.len() > 0);
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let has_folder = !told || folder.is_none_or(Path::is_dir);
    // A log without its file is what is left of a store, and is told of as such.
    (!is_there && has_folder && !log_of(&path).exists()).then_some(path)
}

/// The stores in the folder of a file.
fn stores_beside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries = entries.take(MOST_LOOKED_AT).flatten();
    let paths = entries.map(|entry| match folder == Path::new(".") {
        true => PathBuf::from(entry.file_name()),
        false => entry.path(),
    });
    let mut stores: Vec<PathBuf> = paths.filter(|path| is_store(path)).collect();
    stores.sort_by_key(|store| (unlike(path, store), store.clone()));
    stores.truncate(MOST_NAMED);
    stores
}

/// How far the name of a file is from that of another: how many letters they do not begin with in
/// common.
fn unlike(one: &Path, other: &Path) -> usize {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let (one, other) = (
        name(one).unwrap_or_default(),
        name(other).unwrap_or_default(),
    );
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let same = same.count();
    one.chars().count().max(other.chars().count()) - same
}

/// Whether a file is a SQLite database of ours, as far as its head tells. Of one that is in use, or
/// whose last process was killed, the log may still have the page that says so.
fn is_store(path: &Path) -> bool {
    let mut head = [0; 72];
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    let read = is_file
        && std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut head))
            .is_ok();
    let says = head.get(OURS.1);
    let is_unsaid = says == Some(&[0; 4]) && log_of(path).exists();
    read && head.starts_with(SQLITE) && (says == Some(OURS.0) || is_unsaid)
}

/// The log beside a file of SQLite.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// A path as a shell reads it, behind a scheme.
pub(crate) fn quoted(scheme: &str, path: &Path) -> String {
    let shown = format!("{scheme}{}", path.display());
    let plain = |c: char| c.is_alphanumeric() || "/._-:".contains(c);
    if shown.chars().all(plain) {
        return shown;
    }
    format!("'{}'", shown.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_name_comes_first() {
        let missing = Path::new("shop/shpo.db");
        let far = |name: &str| unlike(missing, &Path::new("shop").join(name));
        assert!(far("shop.db") < far("jobs.db"));
        assert_eq!(far("shpo.db"), 0);
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        let plain = Path::new("/a/b-c.db");
        assert_eq!(quoted("sqlite:", plain), "sqlite:/a/b-c.db");
        assert_eq!(quoted("", Path::new("/it's $HOME")), r"'/it'\''s $HOME'");
    }
}
