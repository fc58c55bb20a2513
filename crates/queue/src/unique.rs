//! Jobs of which there is to be one at a time.

use std::time::Duration;

use longshore_core::{Kind, OnConflict, UniqueKey, UniqueScope};

/// That a queue is to have at most one job of a kind at a time: by which key, for how long, and
/// what happens to a second one.
///
/// Unless it says otherwise, a job has its key until it is over, and a second one is a
/// [hit](longshore_core::Enqueued::Hit) if kind and args are equal and refused if they are not.
/// The job that has the key says for how long; the one that comes says what happens.
///
/// ```
/// use std::time::Duration;
/// use longshore_queue::{JobRequest, Unique};
/// // At most one report a customer waits or runs; who asks meanwhile is told which.
/// let report = JobRequest::new("reports", "report").unique(Unique::by_key("acme").keep());
/// // Of many changes in a row the last one is synchronised, 10 s after it.
/// let sync = JobRequest::new("sync", "sync_cart")
///     .args(&serde_json::json!({"cart": 7, "version": 12}))
///     .delay(Duration::from_secs(10))
///     .unique(Unique::by_key("cart-7").until_start().replace());
/// // Not the same mail twice within a day.
/// let mail = JobRequest::new("mail", "digest")
///     .args(&serde_json::json!({"to": "ann"}))
///     .unique(Unique::by_args().within(Duration::from_secs(24 * 3600)));
/// # let _requests = [report, sync, mail];
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// None: made of kind and args.
    key: Option<String>,
    scope: UniqueScope,
    on_conflict: OnConflict,
}

impl Unique {
    /// By a key of 1 to 200 bytes, within the queue.
    #[must_use]
    pub fn by_key(key: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            scope: UniqueScope::default(),
            on_conflict: OnConflict::default(),
        }
    }

    /// By kind and args, as the bytes that are stored: two texts of JSON that mean the same and
    /// are written differently are different.
    #[must_use]
    pub fn by_args() -> Self {
        Self {
            key: None,
            ..Self::by_key("")
        }
    }

    /// Until the job is first claimed: what changes while it runs may be enqueued again.
    #[must_use]
    pub fn until_start(self) -> Self {
        self.scoped(UniqueScope::Waiting)
    }

    /// For so long after the job is enqueued, 1 millisecond to 366 days, also once it has
    /// completed; a job that is cancelled or discarded lets go at once.
    #[must_use]
    pub fn within(self, window: Duration) -> Self {
        self.scoped(UniqueScope::Window(window))
    }

    /// For as long as this says.
    #[must_use]
    pub fn scoped(self, scope: UniqueScope) -> Self {
        Self { scope, ..self }
    }

    /// Leaves the job that is there as it is, whatever its kind and args are: always a hit.
    #[must_use]
    pub fn keep(self) -> Self {
        self.on_conflict(OnConflict::Keep)
    }

    /// Gives the job that is there the new args while it waits, and the due time and the priority
    /// that the request names.
    #[must_use]
    pub fn replace(self) -> Self {
        self.on_conflict(OnConflict::Replace { priority: false })
    }

    /// What happens to a second job. A request that names a priority gives it to the job it
    /// replaces in any case.
    #[must_use]
    pub fn on_conflict(self, on_conflict: OnConflict) -> Self {
        Self {
            on_conflict,
            ..self
        }
    }

    /// The key, and what is to happen if it is taken.
    pub(crate) fn bind(
        self,
        kind: &Kind,
        args: &[u8],
        names_priority: bool,
    ) -> (UniqueKey, OnConflict) {
        let key = match self.key {
            Some(key) => UniqueKey::new(key, kind, args),
            None => UniqueKey::by_args(kind, args),
        };
        let on_conflict = match self.on_conflict {
            OnConflict::Replace { priority } => OnConflict::Replace {
                priority: priority || names_priority,
            },
            other => other,
        };
        (key.with_scope(self.scope), on_conflict)
    }
}
