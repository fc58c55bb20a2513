//! A store on a server, opened by its first call.

mod calls;

use std::sync::Arc;

use longshore_core::{ErrorKind, Random, StoreError, round_trip};
use tokio::sync::OnceCell;

use crate::batch_key::VOID_AFTER;
use crate::key::Key;
use crate::objects::{Landing, Object, Objects};
use crate::options::ObjectOptions;
use crate::probe::{Heeded, try_conditions};
use crate::remote::{RemoteObjects, Requests};
use crate::root::{Conditions, Root};
use crate::store::ObjectStore;
use crate::tuning::Tuning;

/// A store of jobs in a bucket of S3, Google Cloud Storage, Azure Blob Storage, or what speaks as
/// they do. Any number of processes may use one bucket and prefix.
///
/// The first call reads what the store is: two requests. The first call of all makes it, once it has
/// tried whether the server heeds conditions.
#[derive(Clone, Debug)]
pub struct RemoteStore {
    remote: Arc<RemoteObjects>,
    random: Arc<dyn Random>,
    tuning: Tuning,
    opened: Arc<OnceCell<ObjectStore>>,
}

impl RemoteStore {
    /// The store that the options name, without a request.
    ///
    /// # Errors
    /// `Invalid`: what the URL and the environment say does not fit together.
    pub fn open(options: &ObjectOptions) -> Result<Self, StoreError> {
        let remote = Arc::new(RemoteObjects::new(options)?);
        let mut tuning = options.tuning;
        // Cloudflare R2 speaks as S3 does, but for how often it lets a key be written.
        if remote
            .server()
            .trim_end_matches('/')
            .ends_with(".r2.cloudflarestorage.com")
        {
            tuning.gather = tuning.gather.max(Tuning::A_WRITE_A_SECOND);
        }
        Ok(Self {
            remote,
            tuning,
            random: Arc::clone(&options.random),
            opened: Arc::default(),
        })
    }

    /// Whether there is a store, by one request; nothing is made.
    ///
    /// # Errors
    /// The bucket cannot be asked.
    pub async fn is_made(&self) -> Result<bool, StoreError> {
        let root = self.remote.get(&Key::Root.to_string()).await?;
        Ok(root.is_some())
    }

    /// How many requests this process has sent, by type.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.remote.requests()
    }

    pub(crate) fn remote(&self) -> &RemoteObjects {
        &self.remote
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    async fn opened(&self) -> Result<&ObjectStore, StoreError> {
        let open = || async {
            self.prepare().await?;
            let objects = Arc::clone(&self.remote) as Arc<dyn Objects>;
            ObjectStore::open_with(objects, Arc::clone(&self.random), self.tuning).await
        };
        // What a store is asked for once is no part of the call that happens to be the first.
        let open = || round_trip::unwatched(Box::pin(open()));
        self.opened.get_or_try_init(open).await
    }

    /// Makes sure that the server heeds conditions, and that what lies there is no copy.
    pub(crate) async fn prepare(&self) -> Result<(), StoreError> {
        let (key, server) = (Key::Root, self.remote.server());
        let found = self.remote.get(&key.to_string()).await?;
        let root = found.as_ref().map(|object| Root::decode(&object.bytes));
        let root = root.transpose().map_err(|error| error.of(&key))?;
        if let (Some(root), Some(object)) = (&root, &found) {
            self.refuse_copies(root, object)?;
        }
        let conditions = root.as_ref().and_then(|root| root.conditions.as_ref());
        if let Some(conditions) = conditions.filter(|conditions| conditions.server == server) {
            self.remote.use_bare_tags(conditions.bare_tags);
            return Ok(());
        }
        let Heeded { bare_tags } = try_conditions(&self.remote, &*self.random).await?;
        if root.is_some() {
            // It says so of another server, and stays as it is: here it is tried at every start.
            return Ok(());
        }
        let root = Root {
            conditions: Some(Conditions {
                server: server.to_owned(),
                bare_tags,
            }),
            written_at: Some(self.remote.bounds().middle()),
            ..Root::new(&*self.random)
        };
        let bytes = root.encode().map_err(|error| error.of(&key))?;
        // One that is there now was made by another, as good as this.
        match self.remote.create(&key.to_string(), bytes).await? {
            Landing::Landed(_) | Landing::Refused | Landing::Unknown => Ok(()),
        }
    }

    /// In a copy every object has a new date, by which jobs that wait would count as late for ever.
    fn refuse_copies(&self, root: &Root, object: &Object) -> Result<(), StoreError> {
        match root.written_at {
            Some(written) if object.modified > written.after(VOID_AFTER) => Err(StoreError::new(
                ErrorKind::Invalid,
                format!(
                    "the objects at {} were copied there, or written anew, after the store was made: jobs that \
                     wait in them would never run; use the bucket that they were copied from",
                    self.remote.location()
                ),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_object_of_r2_is_written_once_a_second() {
        let gather = |endpoint: &str| {
            let url = format!("s3://jobs?region=auto&endpoint={endpoint}");
            let options = ObjectOptions::from_url(&url).unwrap();
            RemoteStore::open(&options).unwrap().tuning.gather
        };
        let second = Duration::from_secs(1);
        assert_eq!(gather("https://0123abc.r2.cloudflarestorage.com"), second);
        assert_eq!(
            gather("https://0123abc.eu.r2.cloudflarestorage.com/"),
            second
        );
        assert!(gather("https://s3.example.org") < second);
    }
}
