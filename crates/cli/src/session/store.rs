//! The store of a run: where it is, that it is opened once, and what it is called on spans, so that
//! those of several stores, which lie in one span log, are told apart.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use longshore_core::Store;
use longshore_instrument::table::key;
use longshore_telemetry::TelemetrySettings;

use super::{OpenStore, Session};
use crate::exit::Usage;
use crate::store_file::{self, NoStore};
use crate::text;

impl Session<'_> {
    /// The store, opened at the first call.
    ///
    /// # Errors
    /// The URL is of no store, or the store cannot be opened.
    pub(crate) fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        self.open_store().map(OpenStore::shared)
    }

    /// The store, with what only its kind has.
    ///
    /// # Errors
    /// As [`Session::store`].
    pub(crate) fn open_store(&self) -> anyhow::Result<&OpenStore> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let url = self.store_url()?;
        let is_told = self.told_store()?.is_some();
        let absent = store_file::absent(&url, is_told);
        if let Some(path) = absent.as_ref().filter(|_| !self.makes_store) {
            return Err(NoStore::new(path.clone(), is_told).into());
        }
        let store = OpenStore::open(&url, &self.environment)?;
        if let Some(path) = absent {
            let made = format!("Made the store {}.", path.display());
            self.output.talk(&text::tame(&made));
        }
        Ok(self.store.get_or_init(|| store))
    }

    /// The URL of the store: as told, else the file in the user's data folder, which is made if
    /// the store may be.
    ///
    /// # Errors
    /// The settings cannot be used, or the folder cannot be found or made.
    pub(crate) fn store_url(&self) -> anyhow::Result<String> {
        if let Some(told) = self.told_store()? {
            return Ok(told.to_owned());
        }
        let folder = self.data_folder().ok_or_else(|| {
            Usage("there is no HOME to keep a store in: say where with --store sqlite:PATH".into())
        })?;
        if self.makes_store {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("the folder {} could not be made", folder.display()))?;
        }
        Ok(format!("sqlite:{}", folder.join("longshore.db").display()))
    }

    /// The URL that somebody gave, if somebody did.
    fn told_store(&self) -> anyhow::Result<Option<&str>> {
        let told = self.config()?.text("store");
        Ok(Some(told).filter(|told| !told.is_empty() && *told != "sqlite:"))
    }

    /// Has this store be the one of the run, whatever the settings say, unless one is open already.
    pub(crate) fn on(&self, store: OpenStore) {
        let _one_is_open = self.store.set(store);
    }

    /// The name of the store: what the resource is told to say, else `system:location`, the same
    /// from wherever on this machine it is opened.
    ///
    /// # Errors
    /// As [`Session::store`].
    pub(crate) fn store_name(&self) -> anyhow::Result<String> {
        let given = self.config()?.telemetry().resource_attributes;
        if let Some((_, name)) = given.into_iter().find(|(name, _)| name == key::STORE) {
            return Ok(name);
        }
        let store = self.open_store()?;
        let info = store.shared().info();
        let location = match store {
            OpenStore::Sqlite(_) => whole_path(&info.location),
            OpenStore::Postgres(_) | OpenStore::Redis(_) | OpenStore::Object(_) => info.location,
        };
        Ok(format!("{}:{location}", info.system))
    }

    /// Adds the name of the store to what all spans of the run share.
    pub(super) fn name_store(&self, settings: &mut TelemetrySettings) -> anyhow::Result<()> {
        let name = self.store_name()?;
        let given = &mut settings.resource_attributes;
        given.retain(|(name, _)| name != key::STORE);
        given.push((key::STORE.to_owned(), name));
        Ok(())
    }
}

/// A path without links, from the root on.
fn whole_path(path: &str) -> String {
    let whole = Path::new(path).canonicalize();
    whole.map_or_else(|_gone| path.to_owned(), |whole| whole.display().to_string())
}
