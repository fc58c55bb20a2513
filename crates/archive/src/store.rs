//! The archive itself.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use longshore_bucket::{BucketUrl, Connector, Provider};
use longshore_core::TraceId;
use longshore_spanlog::folder;
use longshore_tracestore::{SealedName, may_hold};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::runtime::Handle;

use crate::error::ArchiveError;

/// How often a request is repeated, and for how long.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(60);
/// How long a request may take until its answer begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Its name, which says class, times and number of its spans.
    pub name: SealedName,
    /// Its bytes.
    pub bytes: u64,
}

/// Where sealed files are copied to.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    url: String,
}

impl Archive {
    /// Opens the archive at `s3://BUCKET/PREFIX`, without a request. `variables` are those of the
    /// environment, of which the usual ones of AWS are used: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` for another server,
    /// `AWS_ALLOW_HTTP=true` if that speaks no TLS, and those by which the machine has a role.
    ///
    /// # Errors
    /// [`ArchiveError::Url`] if the URL is not of that form, or a variable cannot be used.
    pub fn open<'a>(
        url: &str,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ArchiveError> {
        // What follows may be a secret.
        let shown = url.split('?').next().unwrap_or_default();
        let wrong = |what: String| ArchiveError::Url {
            url: shown.to_owned(),
            what,
        };
        let place = BucketUrl::parse(url).map_err(|error| wrong(error.what))?;
        if place.provider() != Provider::S3 {
            return Err(wrong("it is not of S3".to_owned()));
        }
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        };
        let bucket = place.open(variables, Connector::new(PATIENCE), retry);
        let bucket = bucket.map_err(|error| wrong(error.what))?;
        Ok(Self {
            store: bucket.objects,
            prefix: place.prefix().clone(),
            url: place.to_string(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The sealed files that are there, those whose spans ended last first. A request for each
    /// 1 000 files.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] if they cannot be listed.
    pub async fn list(&self) -> Result<Vec<Archived>, ArchiveError> {
        let found: Vec<_> = self
            .store
            .list(Some(&self.prefix))
            .try_collect()
            .await
            .map_err(self.failed("list its files"))?;
        let archived = found.into_iter().filter_map(|found| {
            Some(Archived {
                name: found.location.filename()?.parse().ok()?,
                bytes: found.size,
            })
        });
        let mut archived: Vec<Archived> = archived.collect();
        archived.sort_by_key(|file| std::cmp::Reverse(file.name.last()));
        Ok(archived)
    }

    /// Copies a sealed file. One request. That it is there already is no matter: a name stands for
    /// one content.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] if it cannot be copied.
    pub(crate) async fn put(&self, name: &SealedName, body: Bytes) -> Result<(), ArchiveError> {
        let put = self.store.put(&self.key(name), body.into()).await;
        put.map_err(self.failed(&format!("take {name}")))?;
        Ok(())
    }

    /// Deletes a file whose spans are in another one that is there. One request.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] if it cannot be deleted, as where that is not allowed.
    pub(crate) async fn delete(&self, name: &SealedName) -> Result<(), ArchiveError> {
        let deleted = self.store.delete(&self.key(name)).await;
        deleted.map_err(self.failed(&format!(
            "delete {name}, whose spans are in a larger file that is there"
        )))
    }

    /// Whether a trace may be in a file: by the bloom filters of its row groups, of which about one
    /// in a hundred says so wrongly. One request for a file of less than 64 KiB, else three or so.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] if it is no file of spans.
    pub async fn may_hold(&self, file: &Archived, trace: TraceId) -> Result<bool, ArchiveError> {
        let (archive, file) = (self.clone(), *file);
        let on = Handle::current();
        let asked = tokio::task::spawn_blocking(move || {
            let key = archive.key(&file.name);
            let read = move |from: u64, length: usize| {
                let range = from..from + length as u64;
                let read = on.block_on(archive.store.get_range(&key, range));
                read.map_err(io::Error::other)
            };
            may_hold(file.bytes, read, trace).map_err(|source| ArchiveError::Damaged {
                name: file.name.to_string(),
                source: Box::new(source),
            })
        });
        match asked.await {
            Ok(answer) => answer,
            // Whoever looks into it finds out.
            Err(_panicked) => Ok(true),
        }
    }

    /// Brings a file back into a folder, which is made if it is not there. One request, if it is not
    /// there already.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] if it cannot be read, [`ArchiveError::File`] if the folder cannot be
    /// written.
    pub async fn fetch(&self, file: &Archived, into: &Path) -> Result<(), ArchiveError> {
        let path = into.join(file.name.to_string());
        if fs::metadata(&path).is_ok_and(|found| found.len() == file.bytes) {
            return Ok(());
        }
        let what = format!("give {}", file.name);
        let got = self.store.get(&self.key(&file.name)).await;
        let got = got.map_err(self.failed(&what))?;
        let body = got.bytes().await.map_err(self.failed(&what))?;
        let hidden = into.join(format!("{}.tmp", file.name));
        let written = fs::create_dir_all(into)
            .and_then(|()| match fs::remove_file(&hidden) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
            .and_then(|()| io::Write::write_all(&mut folder::create(&hidden)?, &body))
            .and_then(|()| fs::rename(&hidden, &path));
        written.map_err(|source| ArchiveError::File { path, source })
    }

    fn key(&self, name: &SealedName) -> Key {
        self.prefix.clone().join(name.to_string())
    }

    fn failed(&self, what: &str) -> impl Fn(object_store::Error) -> ArchiveError + use<> {
        let (url, what) = (self.url.clone(), what.to_owned());
        move |source| ArchiveError::Store {
            url: url.clone(),
            what: what.clone(),
            source: Box::new(source),
        }
    }
}
