//! The store of a run: where it is, that it is opened once, and what it is called on spans, so that
//! those of several stores, which lie in one span log, are told apart. And the stores beside it that a
//! verb names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use longshore_core::{Import, Store};
use longshore_instrument::store_name;
use longshore_instrument::table::key;
use longshore_memory::MemoryStore;
use longshore_object::{ObjectOptions, RemoteStore};
use longshore_postgres::{PostgresOptions, PostgresStore};
use longshore_redis::{RedisOptions, RedisStore};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_telemetry::{Environment, TelemetrySettings};

use super::Session;
use crate::exit::Usage;
use crate::store_file::{self, NoStore};
use crate::text;

/// Where the URL of the run's store is said.
const SAID: &str = "--store or LONGSHORE_STORE";
/// How the URLs of stores are written.
const STORES: [&str; 6] = [
    "sqlite:PATH",
    "postgres://USER@HOST/DATABASE",
    "redis://HOST:PORT/DB",
    "s3://BUCKET/PREFIX",
    "gs://BUCKET/PREFIX",
    "az://CONTAINER/PREFIX",
];

/// Most stores that are named beside one that is not there.
const MOST_NAMED: u32 = 5;
/// How long who makes a store waits for the word that it is new.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store of a run.
#[derive(Debug)]
pub(crate) enum OpenStore {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    Redis(RedisStore),
    Object(RemoteStore),
}

impl OpenStore {
    /// The store at a URL; `said` is where a person said the URL.
    fn open(said: &str, url: &str, environment: &Environment) -> anyhow::Result<Self> {
        let refused = |error| Usage(format!("{said}: {error}"));
        // Their errors name the file, the database or the server.
        let scheme = url.split(':').next().unwrap_or_default();
        if ["postgres", "postgresql"].contains(&scheme) {
            let options = PostgresOptions::from_url(url).map_err(refused)?;
            return Ok(Self::Postgres(PostgresStore::open(options)?));
        }
        if RedisOptions::SCHEMES.contains(&scheme) {
            let options = RedisOptions::from_url(url).map_err(refused)?;
            return Ok(Self::Redis(RedisStore::open(options)));
        }
        if ObjectOptions::schemes().contains(&scheme) {
            let options = ObjectOptions::from_url(url).map_err(refused)?;
            let options = options.with_variables(environment.beginning_with(""));
            return Ok(Self::Object(RemoteStore::open(&options).map_err(refused)?));
        }
        if !url.starts_with("sqlite:") {
            return Err(unknown(said, url).into());
        }
        let options = SqliteOptions::from_url(url).map_err(refused)?;
        Ok(Self::Sqlite(SqliteStore::open(options)?))
    }

    /// What to say if it is not there, of a store on a Redis server or in a bucket.
    async fn missing(&self) -> anyhow::Result<Option<String>> {
        let location = self.shared().info().location;
        Ok(match self {
            Self::Redis(store) => {
                let beside = store.missing(MOST_NAMED as usize).await?;
                beside.map(|beside| nothing_at(&location, "prefix", &beside))
            }
            Self::Object(store) if !store.is_made().await? => {
                Some(nothing_at(&location, "prefix", &[]))
            }
            Self::Object(_) | Self::Sqlite(_) | Self::Postgres(_) => None,
        })
    }

    fn shared(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
            Self::Redis(store) => Arc::new(store.clone()),
            Self::Object(store) => Arc::new(store.clone()),
        }
    }
}

/// What to say if the schema that a URL names is not there, and nothing if the URL names none. Opening
/// it would make it.
async fn missing_schema(url: &str) -> anyhow::Result<Option<Option<String>>> {
    let Ok(options) = PostgresOptions::from_url(url) else {
        return Ok(None);
    };
    let beside = PostgresStore::missing(&options, MOST_NAMED).await?;
    let nothing = beside.map(|beside| nothing_at(&options.location(), "schema", &beside));
    Ok(Some(nothing))
}

/// What to say of a store that is not there: where, and which there are.
fn nothing_at(location: &str, parameter: &str, beside: &[String]) -> String {
    let nothing = format!("there is no store at {location}");
    let beside: Vec<String> = beside
        .iter()
        .map(|name| format!("{parameter}={name}"))
        .collect();
    match beside.is_empty() {
        true => nothing,
        false => format!("{nothing}; beside it there is {}", beside.join(", ")),
    }
}

/// What to say of text that names no store. What follows a scheme may hold a password, and is not
/// repeated.
fn unknown(said: &str, url: &str) -> Usage {
    let problem = match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            let scheme: String = scheme.chars().take(40).collect();
            format!("`{scheme}:` names no store: write {}", STORES.join(", "))
        }
        _ => format!("`{url}` is a path: write sqlite:{url}"),
    };
    Usage(format!("{said}: {problem}"))
}

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
        let store = OpenStore::open(SAID, &url, &self.environment)?;
        if let Some(path) = absent {
            self.tell_made(&path);
        }
        Ok(self.store.get_or_init(|| store))
    }

    /// The store, if it is open.
    pub(crate) fn opened(&self) -> Option<&OpenStore> {
        self.store.get()
    }

    /// What to say of a store on a server or in a bucket that is not there; nothing is made.
    ///
    /// # Errors
    /// As [`Session::store`], or the server cannot be asked.
    pub(crate) async fn missing(&self) -> anyhow::Result<Option<String>> {
        let url = self.store_url()?;
        if url.starts_with("sqlite:") {
            return Ok(None);
        }
        match missing_schema(&url).await? {
            Some(looked) => Ok(looked),
            None => self.open_store()?.missing().await,
        }
    }

    /// Refuses to look at a store on a server or in a bucket that is not there; who puts something into
    /// it hears that it is new.
    ///
    /// # Errors
    /// There is no such store, or as [`Session::missing`].
    pub(crate) async fn know_of_missing(&self) -> anyhow::Result<()> {
        if !self.makes_store {
            return match self.missing().await? {
                Some(nothing) => {
                    let said = format!("{SAID}: {nothing}; `longshore enqueue` makes one there");
                    Err(Usage(said).into())
                }
                None => Ok(()),
            };
        }
        // What it is about says for itself that the server is away.
        let looked = tokio::time::timeout(PATIENCE, self.missing()).await;
        if let Ok(Ok(Some(nothing))) = looked {
            self.output
                .talk(&text::tame(&format!("Making a store: {nothing}.")));
        }
        Ok(())
    }

    fn tell_made(&self, path: &Path) {
        let made = format!("Made the store {}.", path.display());
        self.output.talk(&text::tame(&made));
    }

    /// A store beside that of the run that is there already; `said` is where its URL is said.
    ///
    /// # Errors
    /// As [`Session::store`], or there is no such file.
    pub(crate) async fn source_at(&self, said: &str, url: &str) -> anyhow::Result<Arc<dyn Store>> {
        if let Some(path) = store_file::absent(url, true) {
            let problem = store_file::nothing_at(&path);
            return Err(Usage(format!("{said}: {problem}")).into());
        }
        if let Some(Some(nothing)) = missing_schema(url).await? {
            return Err(Usage(format!("{said}: {nothing}")).into());
        }
        let store = OpenStore::open(said, url, &self.environment)?;
        match store.missing().await? {
            Some(nothing) => Err(Usage(format!("{said}: {nothing}")).into()),
            None => Ok(store.shared()),
        }
    }

    /// A store beside that of the run that jobs can be brought to. One that is not there is made, unless
    /// it is only to be looked at: then an empty store stands for it.
    ///
    /// # Errors
    /// As [`Session::store`], or the bucket cannot be asked.
    pub(crate) async fn target_at(
        &self,
        said: &str,
        url: &str,
        looks: bool,
    ) -> anyhow::Result<Arc<dyn Import>> {
        let absent = store_file::absent(url, true);
        let is_missing =
            absent.is_some() || looks && matches!(missing_schema(url).await?, Some(Some(_nothing)));
        if looks && is_missing {
            return Ok(Arc::new(MemoryStore::new()));
        }
        let store = OpenStore::open(said, url, &self.environment)?;
        if looks && store.missing().await?.is_some() {
            return Ok(Arc::new(MemoryStore::new()));
        }
        let store: Arc<dyn Import> = match store {
            OpenStore::Sqlite(store) => Arc::new(store),
            OpenStore::Postgres(store) => Arc::new(store),
            OpenStore::Redis(store) => Arc::new(store),
            OpenStore::Object(store) => Arc::new(store),
        };
        if let Some(path) = absent {
            self.tell_made(&path);
        }
        Ok(store)
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

    /// The name of the store: what the resource is told to say, else what [`store_name`] says.
    ///
    /// # Errors
    /// As [`Session::store`].
    pub(crate) fn store_name(&self) -> anyhow::Result<Option<String>> {
        let given = self.config()?.telemetry().resource_attributes;
        if let Some((_, name)) = given.into_iter().find(|(name, _)| name == key::STORE) {
            return Ok(Some(name));
        }
        Ok(store_name(&self.store()?.info()))
    }

    /// Adds the name of the store to what all spans of the run share.
    pub(super) fn name_store(&self, settings: &mut TelemetrySettings) -> anyhow::Result<()> {
        let given = &mut settings.resource_attributes;
        given.retain(|(name, _)| name != key::STORE);
        let name = self.store_name()?;
        given.extend(name.map(|name| (key::STORE.to_owned(), name)));
        Ok(())
    }
}
