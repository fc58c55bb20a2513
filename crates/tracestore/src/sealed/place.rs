//! Where a sealed file is found whose spans may be in another one by now.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_core::Timestamp;

/// What is added to the name of a file that was put together with others.
pub(crate) const REPLACED: &str = ".replaced";

fn replaced(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(REPLACED);
    PathBuf::from(name)
}

/// Opens a sealed file. One that was put together with others a moment ago is still there for those
/// who know it by its name.
pub(super) fn open(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(replaced(path)),
        opened => opened,
    }
}

/// Takes its name from a file whose spans are in another one.
pub(crate) fn set_aside(path: &Path, now: Timestamp) -> io::Result<()> {
    let at = SystemTime::UNIX_EPOCH + now.since(Timestamp::UNIX_EPOCH);
    File::options().write(true).open(path)?.set_modified(at)?;
    fs::rename(path, replaced(path))
}

/// Deletes what was set aside in a folder at least so long ago.
pub(crate) fn remove_replaced(folder: &Path, now: Timestamp, age: Duration) -> io::Result<()> {
    let oldest = SystemTime::UNIX_EPOCH + now.since(Timestamp::UNIX_EPOCH).saturating_sub(age);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.to_string_lossy().ends_with(REPLACED) && entry.metadata()?.modified()? <= oldest {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
