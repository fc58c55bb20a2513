//! A bucket on a server, by the crate `object_store`.
//!
//! That one repeats nothing here: what an answer means, and whether to ask again, is decided here,
//! since a write that was repeated unseen would be refused because of its own first try.

mod answer;
mod meter;
mod pace;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_bucket::{Bucket, BucketUrl, Provider};
use longshore_core::requests::RequestCounts;
use longshore_core::round_trip::{self, Answer as Noted, Server, Target};
use longshore_core::{Clock, StoreError, Timestamp};
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{
    ObjectMeta, ObjectStoreExt as _, PutMode, PutOptions, PutResult, RetryConfig, UpdateVersion,
};

use self::answer::{Answer, Failure, Refusal};
use self::meter::{Meter, MeteredConnector};
pub use self::meter::{RequestKind, Requests};
use self::pace::Pace;
use crate::batch_key::CLOCK_TOLERANCE;
use crate::objects::{Landing, Listed, Object, Objects, Range, RequestError, Version};
use crate::options::ObjectOptions;
use crate::server_clock::Bounds;

/// A bucket on a server, below a prefix.
pub struct RemoteObjects {
    bucket: Bucket,
    url: BucketUrl,
    location: String,
    /// As which storage spans name it.
    storage: Arc<Server>,
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
    pace: Pace,
    patience: Duration,
    /// Whether the server wants ETags in conditions without their quotes.
    bare_tags: AtomicBool,
}

impl fmt::Debug for RemoteObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteObjects")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl RemoteObjects {
    /// How often a request is sent of which the server says that it did nothing, or that only reads.
    const TRIES: u32 = 5;
    /// Most keys of one page of a listing.
    const PAGE: usize = 1000;

    /// The bucket that the options name, without a request.
    ///
    /// # Errors
    /// `Invalid`: what the URL and the environment say does not fit together.
    pub fn new(options: &ObjectOptions) -> Result<Self, StoreError> {
        let system = system_of(options.url.provider());
        let clock = Arc::clone(&options.clock);
        let meter = Arc::new(Meter::new(options.url.bucket(), system, clock));
        let http = MeteredConnector::new(options.patience, &meter);
        let retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        let variables = options.variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        let bucket = options.url.open(variables, http, retry);
        let bucket = bucket.map_err(crate::options::refused)?;
        let location = match &bucket.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", options.url),
            None => options.url.to_string(),
        };
        let storage = Arc::new(storage_of(&bucket, &options.url));
        Ok(Self {
            bucket,
            storage,
            url: options.url.clone(),
            location,
            clock: Arc::clone(&options.clock),
            meter,
            pace: Pace::new(Arc::clone(&options.random)),
            // A body comes after the answer's beginning.
            patience: options.patience * 2,
            bare_tags: AtomicBool::new(false),
        })
    }

    /// How many requests were sent to the bucket, by type.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.meter.requests()
    }

    /// The same, as they go on, and what came of them.
    pub(crate) fn request_counts(&self) -> &Arc<RequestCounts> {
        self.meter.counts()
    }

    /// The server, as the verdict on its conditions names it.
    pub(crate) fn server(&self) -> &str {
        let endpoint = self.bucket.endpoint.as_deref();
        endpoint.unwrap_or(self.system())
    }

    pub(crate) const fn provider(&self) -> Provider {
        self.url.provider()
    }

    /// The bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        self.url.bucket()
    }

    /// From now on ETags in conditions have no quotes, or have them.
    pub(crate) fn use_bare_tags(&self, bare: bool) {
        self.bare_tags.store(bare, Ordering::Relaxed);
    }

    /// What the server said of the bucket's own settings with the answers so far.
    pub(crate) fn told(&self) -> meter::Told {
        self.meter.told()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The server's time, if any answer said it.
    pub(crate) fn known_bounds(&self) -> Option<Bounds> {
        self.meter.bounds(self.clock.monotonic())
    }

    fn path(&self, key: &str) -> Result<Path, RequestError> {
        Path::parse(self.key(key)).map_err(|error| self.refused(error.to_string()))
    }

    fn key(&self, key: &str) -> String {
        match self.url.prefix().as_ref() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        }
    }

    fn refused(&self, message: String) -> RequestError {
        RequestError::Refused {
            location: self.location.clone(),
            message,
        }
    }

    /// Sends a request, at most for as long as is patient, and tells what its answer means.
    async fn send<T>(
        &self,
        (operation, key): (&'static str, &str),
        request: impl Future<Output = object_store::Result<T>> + Send,
    ) -> Result<T, Failure> {
        let object = || Target::Object(key.to_owned());
        let mut noted = round_trip::begin(&self.storage, operation, object);
        let _turn = self.pace.turn().await;
        noted.sent();
        let answer = answer::listen(tokio::time::timeout(self.patience, request)).await;
        let answer = match answer {
            Answer {
                result: Ok(Ok(answer)),
                ..
            } => {
                self.pace.went_well();
                noted.end(Noted::Good);
                return Ok(answer);
            }
            Answer {
                result: Ok(Err(error)),
                heard,
            } => Failure::of(self.provider(), &error, &heard),
            Answer {
                result: Err(_elapsed),
                heard,
            } => Failure::silent(self.patience, &heard),
        };
        noted.end(answer.noted());
        match answer.refusal {
            Refusal::Busy | Refusal::Broken => self.pace.went_ill(answer.refusal == Refusal::Busy),
            _ => self.pace.went_well(),
        }
        Err(answer)
    }

    /// Sends a request that only reads, or that may be done twice, until it is answered.
    async fn insist<T, F>(
        &self,
        asked: (&'static str, &str),
        mut request: impl FnMut() -> F,
    ) -> Result<Option<T>, RequestError>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let mut tried = 0;
        loop {
            let failure = match self.send(asked, request()).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(failure) => failure,
            };
            tried += 1;
            match failure.refusal {
                Refusal::Absent => return Ok(None),
                Refusal::Denied | Refusal::Condition => return Err(self.refused(failure.message)),
                Refusal::Busy | Refusal::Conflict | Refusal::Broken if tried < Self::TRIES => {
                    self.pace.pause(tried).await;
                }
                Refusal::Busy | Refusal::Conflict | Refusal::Broken => {
                    return Err(RequestError::Unavailable {
                        location: self.location.clone(),
                        message: failure.message,
                    });
                }
            }
        }
    }

    async fn write(&self, key: &str, bytes: Bytes, mode: PutMode) -> Result<Landing, RequestError> {
        let path = self.path(key)?;
        let is_create = mode == PutMode::Create;
        for tried in 1..=Self::TRIES {
            let options = PutOptions::from(mode.clone());
            let payload = bytes.clone().into();
            let put = self.bucket.objects.put_opts(&path, payload, options);
            let failure = match self.send(("PutObject", path.as_ref()), put).await {
                Ok(put) => return Ok(Landing::Landed(version_of(put))),
                Err(failure) => failure,
            };
            match failure.refusal {
                Refusal::Condition => return Ok(Landing::Refused),
                // What was to be replaced is gone.
                Refusal::Absent if !is_create => return Ok(Landing::Refused),
                Refusal::Absent | Refusal::Denied => return Err(self.refused(failure.message)),
                // Who replaces must look at what the other has made of it.
                Refusal::Conflict if !is_create => return Ok(Landing::Refused),
                Refusal::Busy | Refusal::Conflict => self.pace.pause(tried).await,
                Refusal::Broken => {
                    self.pace.pause(tried).await;
                    return Ok(Landing::Unknown);
                }
            }
        }
        Ok(Landing::Unknown)
    }

    /// The keys of one page, and whether there are more.
    async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<(Vec<ObjectMeta>, bool), RequestError> {
        let ask = || {
            let options = PaginatedListOptions {
                offset: after.map(str::to_owned),
                max_keys: Some(most),
                ..PaginatedListOptions::default()
            };
            self.bucket.pages.list_paginated(Some(prefix), options)
        };
        match self.insist(("ListObjectsV2", prefix), ask).await? {
            Some(page) => Ok((page.result.objects, page.page_token.is_some())),
            None => Err(self.refused("there is no such bucket".to_owned())),
        }
    }
}

#[async_trait]
impl Objects for RemoteObjects {
    fn system(&self) -> &'static str {
        system_of(self.provider())
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn bounds(&self) -> Bounds {
        self.known_bounds().unwrap_or_else(|| {
            let now = self.clock.now();
            Bounds {
                least: now.before(CLOCK_TOLERANCE),
                most: now.after(CLOCK_TOLERANCE),
            }
        })
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, RequestError> {
        let path = self.path(key)?;
        let get = || async {
            let got = self.bucket.objects.get(&path).await?;
            let meta = got.meta.clone();
            Ok((meta, got.bytes().await?))
        };
        let got = self.insist(("GetObject", path.as_ref()), get).await?;
        Ok(got.map(|(meta, bytes)| Object {
            bytes,
            modified: modified(&meta),
            version: Version {
                e_tag: meta.e_tag,
                number: meta.version,
            },
        }))
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<Landing, RequestError> {
        self.write(key, bytes, PutMode::Create).await
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        version: &Version,
    ) -> Result<Landing, RequestError> {
        let bare = self.bare_tags.load(Ordering::Relaxed);
        let e_tag = version.e_tag.as_deref().map(|tag| match bare {
            true => tag.trim_matches('"').to_owned(),
            false => tag.to_owned(),
        });
        let version = UpdateVersion {
            e_tag,
            version: version.number.clone(),
        };
        self.write(key, bytes, PutMode::Update(version)).await
    }

    async fn delete(&self, key: &str) -> Result<(), RequestError> {
        let path = self.path(key)?;
        let asked = ("DeleteObject", path.as_ref());
        self.insist(asked, || self.bucket.objects.delete(&path))
            .await?;
        Ok(())
    }

    async fn list(&self, range: Range<'_>) -> Result<Vec<Listed>, RequestError> {
        let prefix = self.key(range.prefix);
        let own = self.key("").len();
        let mut after = range.after.map(|after| self.key(after));
        let mut found: Vec<Listed> = Vec::new();
        while found.len() < range.limit {
            let most = Self::PAGE.min(range.limit - found.len());
            let (mut objects, more) = self.page(&prefix, after.as_deref(), most).await?;
            // Providers say in which order keys come; the library does not.
            objects.sort_by(|one, other| one.location.as_ref().cmp(other.location.as_ref()));
            let last = objects.last().map(|last| last.location.to_string());
            for meta in objects {
                let key = meta.location.as_ref().get(own..).unwrap_or_default();
                if range.end.is_some_and(|end| key >= end) {
                    return Ok(found);
                }
                found.push(Listed {
                    key: key.to_owned(),
                    modified: modified(&meta),
                    e_tag: meta.e_tag,
                });
            }
            match last {
                Some(last) if more => after = Some(last),
                _ => break,
            }
        }
        found.truncate(range.limit);
        Ok(found)
    }
}

/// The bucket, as storage spans name it.
fn storage_of(bucket: &Bucket, url: &BucketUrl) -> Server {
    let endpoint = bucket.endpoint.as_deref().unwrap_or_default();
    let (_, place) = endpoint.split_once("://").unwrap_or_default();
    let place = place.split('/').next().unwrap_or_default();
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (place, None),
    };
    Server {
        system: system_of(url.provider()),
        namespace: Some(url.bucket().to_owned()),
        address: (!host.is_empty()).then(|| host.to_owned()),
        port,
    }
}

const fn system_of(provider: Provider) -> &'static str {
    match provider {
        Provider::S3 => "aws.s3",
        Provider::Gcs => "gcp.storage",
        Provider::Azure => "azure.blob",
    }
}

fn version_of(put: PutResult) -> Version {
    Version {
        e_tag: put.e_tag,
        number: put.version,
    }
}

fn modified(meta: &ObjectMeta) -> Timestamp {
    let micros = meta.last_modified.timestamp_micros();
    Timestamp::from_unix_nanos(micros.saturating_mul(1000))
}
