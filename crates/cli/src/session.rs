//! What every verb starts from: where the store is, where telemetry goes, where words go.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use longshore_core::Store;
use longshore_instrument::Recorder;
use longshore_queue::Producer;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::desk::Desk;
use crate::exit::Usage;
use crate::output::Output;

/// A run of the program.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    /// Where words go.
    pub(crate) output: &'a Output,
    store_url: Option<String>,
    store: OnceCell<Arc<dyn Store>>,
}

impl<'a> Session<'a> {
    /// A run with what the command line says about store and configuration.
    pub(crate) fn new(
        store_url: Option<String>,
        _config: Option<PathBuf>,
        output: &'a Output,
    ) -> Self {
        Self {
            output,
            store_url,
            store: OnceCell::new(),
        }
    }

    /// The store, opened at the first call.
    ///
    /// # Errors
    /// The URL is of no store, or the store cannot be opened.
    pub(crate) fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        if let Some(store) = self.store.get() {
            return Ok(Arc::clone(store));
        }
        let store = self.open()?;
        Ok(Arc::clone(self.store.get_or_init(|| store)))
    }

    fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        let url = self.store_url()?;
        let options = SqliteOptions::from_url(&url)
            .map_err(|error| Usage(format!("--store or LONGSHORE_STORE: {error}")))?;
        let store = SqliteStore::open(options).with_context(|| format!("the store {url}"))?;
        Ok(Arc::new(store))
    }

    /// The URL of the store: as told, else the file in the user's data folder, which is made.
    ///
    /// # Errors
    /// The folder cannot be found or made.
    pub(crate) fn store_url(&self) -> anyhow::Result<String> {
        if let Some(url) = self.store_url.as_ref().filter(|url| !url.is_empty()) {
            return Ok(url.clone());
        }
        let folder = data_folder()?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
        Ok(format!("sqlite:{}", folder.join("longshore.db").display()))
    }

    /// Where telemetry goes, if it goes anywhere.
    pub(crate) fn recorder(&self) -> Option<Arc<dyn Recorder>> {
        None
    }

    /// The producer and the administrator's calls.
    ///
    /// # Errors
    /// As [`Session::store`].
    pub(crate) fn desk(&self) -> anyhow::Result<Desk> {
        let recorder = self.recorder();
        let mut producer = Producer::new(self.store()?);
        if let Some(recorder) = &recorder {
            producer = producer.with_recorder(Arc::clone(recorder));
        }
        Ok(Desk::new(producer, recorder))
    }

    /// Hands on the telemetry that has not left yet.
    pub(crate) async fn close(&self) {}
}

/// The user's data folder: `$XDG_DATA_HOME/longshore`, else `~/.local/share/longshore`.
fn data_folder() -> anyhow::Result<PathBuf> {
    let absolute = |name| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.filter(|path: &PathBuf| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(Path::new(".local/share")));
    let base = absolute("XDG_DATA_HOME").or_else(home).ok_or_else(|| {
        Usage("there is no HOME to keep a store in: say where with --store sqlite:PATH".to_owned())
    })?;
    Ok(base.join("longshore"))
}
