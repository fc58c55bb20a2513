//! Where the jobs and the spans of one run are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use longshore_core::{QueueName, Random, Store, SystemRandom};
use longshore_testkit::{postgres_server, redis_server, s3_server};

/// What the jobs of all seeds are kept by.
pub enum Server {
    /// A file in the folder of each seed.
    Sqlite,
    Postgres(&'static postgres_server::Server),
    Redis(Arc<redis_server::RedisServer>),
    S3(Arc<s3_server::S3Server>),
    /// Whatever is there already.
    Url(String),
}

impl Server {
    /// What is asked for by a word or a URL.
    pub fn start(asked: Option<&str>) -> Result<Self> {
        let missing = "the server's program is not there; CONTRIBUTING.md says what is needed";
        Ok(match asked {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres(postgres_server::shared().context(missing)?),
            Some("redis") => Self::Redis(redis_server::shared().context(missing)?),
            Some("s3") => Self::S3(s3_server::shared().context(missing)?),
            Some(url) if url.contains(':') => Self::Url(url.to_owned()),
            Some(word) => bail!("`{word}` is no store: give sqlite, postgres, redis, s3 or a URL"),
        })
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
            Self::Redis(_) => "Redis",
            Self::S3(_) => "object storage",
            Self::Url(url) => url.split(':').next().unwrap_or_default(),
        }
    }

    fn url(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.join("jobs.db").display()),
            Self::Postgres(server) => server.url(),
            Self::Redis(server) => server.url(),
            Self::S3(server) => format!(
                "s3://{}/keep?region=us-east-1&endpoint=http://{}\
                 &access_key_id=test&secret_access_key=test",
                s3_server::S3Server::BUCKET,
                server.address()
            ),
            Self::Url(url) => url.clone(),
        }
    }
}

/// What the processes of one seed are told.
pub struct Place {
    /// For the span log.
    pub folder: PathBuf,
    /// The receiver's URL.
    pub receiver: String,
    /// The store's URL.
    store: String,
    /// The queue of this seed alone: a store may have had others.
    pub queue: QueueName,
}

impl Place {
    pub fn new(server: &Server, folder: &Path, receiver: &str) -> Result<Self> {
        let number = SystemRandom.next_u64();
        Ok(Self {
            folder: folder.to_owned(),
            receiver: receiver.to_owned(),
            store: server.url(folder),
            queue: format!("keep-{number:016x}").parse()?,
        })
    }

    /// What [`Place::words`] gave, and the words that follow.
    pub fn from_words<'a, 'b>(words: &'a [&'b str]) -> Result<(Self, &'a [&'b str])> {
        let [folder, receiver, store, queue, more @ ..] = words else {
            bail!("no place: {words:?}");
        };
        let place = Self {
            folder: PathBuf::from(folder),
            receiver: (*receiver).to_owned(),
            store: (*store).to_owned(),
            queue: queue.parse()?,
        };
        Ok((place, more))
    }

    pub fn words(&self) -> [&std::ffi::OsStr; 4] {
        [
            self.folder.as_os_str(),
            self.receiver.as_ref(),
            self.store.as_ref(),
            self.queue.as_str().as_ref(),
        ]
    }

    pub fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(longshore::connect(&self.store)?)
    }
}
