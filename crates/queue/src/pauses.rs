//! What people leave for each other beside a pause: who, since when and why.

use longshore_core::limit::Scope;
use longshore_core::pause::{PAUSES, Pause, Pauses};
use longshore_core::{ErrorKind, Store, StoreError};

/// How often a change is tried again that another one came before.
const TRIES: u32 = 100;

/// Who pauses a queue or a kind, and why. What is not given is not noted.
///
/// ```
/// # async fn example(admin: longshore_queue::Admin) -> Result<(), Box<dyn std::error::Error>> {
/// use longshore_queue::PauseNote;
///
/// let note = PauseNote::default().by("ann@web-1").because("the mail server is away");
/// admin.pause_noted(&"mail".parse()?, &note).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PauseNote {
    by: Option<String>,
    reason: Option<String>,
}

impl PauseNote {
    /// Who it is, on one line of at most [`Pause::MAX_BY_BYTES`] bytes.
    #[must_use]
    pub fn by(mut self, name: &str) -> Self {
        self.by = Some(name.to_owned());
        self
    }

    /// Why, on one line of at most [`Pause::MAX_REASON_BYTES`] bytes.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// The pause that begins now by a store's time.
    pub(crate) async fn pause(&self, store: &dyn Store) -> Result<Pause, StoreError> {
        let (by, reason) = (self.by.as_deref(), self.reason.as_deref());
        Pause::new(store.now().await?, by, reason)
    }
}

/// Everything that was noted.
pub(crate) async fn read(store: &dyn Store) -> Result<Pauses, StoreError> {
    Ok(read_versioned(store).await?.1)
}

/// Notes a pause that has begun.
pub(crate) async fn note(
    store: &dyn Store,
    scope: &Scope,
    pause: &Pause,
) -> Result<(), StoreError> {
    change(store, |pauses| pauses.note(scope.clone(), pause.clone())).await
}

/// Forgets a pause that is over.
pub(crate) async fn forget(store: &dyn Store, scope: &Scope) -> Result<(), StoreError> {
    change(store, |pauses| {
        pauses.forget(scope);
    })
    .await
}

async fn change(store: &dyn Store, mut change: impl FnMut(&mut Pauses)) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        let (version, before) = read_versioned(store).await?;
        let mut pauses = before.clone();
        change(&mut pauses);
        if pauses == before {
            return Ok(());
        }
        match store
            .write_document(PAUSES, version, pauses.encode()?)
            .await
        {
            Ok(_version) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn read_versioned(store: &dyn Store) -> Result<(u64, Pauses), StoreError> {
    match store.read_document(PAUSES).await? {
        None => Ok((0, Pauses::default())),
        Some(document) => Ok((document.version, Pauses::decode(&document.body)?)),
    }
}
