//! The layout and the protocol of a Longshore store on object storage: S3, Google Cloud Storage,
//! Azure Blob Storage, or anything that creates an object only if it is absent and replaces it only
//! if it is unchanged.
//!
//! Jobs that are enqueued together are one immutable [`Batch`], whose key lies in the index. The
//! first claim creates the batch's one [`Ledger`], which is rewritten by compare-and-swap with
//! every claim, heartbeat and settle, so that a hundred jobs cost five requests.
//! `docs/object-store.md` describes both.
//!
//! Everything but [`ObjectStore`] is a plain value or a pure decision about values. That one holds
//! Longshore's contract by sending requests through [`Objects`], a bucket. With one of the features
//! `aws`, `gcp` and `azure`, `RemoteStore` is that on a server, whose conditions it tries first.
//!
//! | to find | look in |
//! | --- | --- |
//! | which objects there are, and who writes them | [`Key`], [`FAMILIES`] |
//! | what several calls make of a ledger | [`Draft`] |
//! | what to do about an index entry | [`meet`] |
//! | who has a unique key or a chosen id | [`Reservation`] |
//! | what the server's time can be | [`ServerClock`] |
//! | how often it asks, and what it gathers | [`Tuning`] |

mod batch;
mod batch_key;
mod document;
mod draft;
mod escape;
#[cfg(feature = "remote")]
mod examination;
mod family;
mod format;
mod job_row;
mod key;
mod ledger;
mod meeting;
mod message;
mod minted_id;
mod mutation;
mod objects;
#[cfg(feature = "remote")]
mod options;
#[cfg(feature = "remote")]
mod probe;
pub mod prune;
mod queues;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "remote")]
mod remote_store;
mod reservation;
mod root;
mod row_message;
mod server_clock;
mod store;
mod sweep;
mod tuning;

pub use batch::{Batch, StoredJob};
pub use batch_key::{
    BatchKey, BatchName, CLOCK_TOLERANCE, Line, QueueCode, Unreadable, VOID_AFTER,
};
pub use document::StoredDocument;
pub use draft::{Draft, PARK_BEYOND, Plan};
#[cfg(feature = "remote")]
pub use examination::Examination;
pub use family::{Change, FAMILIES, Family, Row, table_of_keys};
pub use format::{Format, FormatError};
pub use job_row::{Hold, JobRow, Replaced};
pub use key::{Key, PointerKey};
pub use ledger::{Ledger, Outgoing, Standing};
pub use meeting::{Look, Presence, Step, meet, presence};
pub use minted_id::{MintedId, StoreMark};
#[cfg(feature = "mutations")]
pub use mutation::{Judged, Made, Mutation};
pub use objects::{Landing, Listed, Object, Objects, Range, RequestError, Version};
#[cfg(feature = "remote")]
pub use options::ObjectOptions;
pub use queues::{Queue, Queues};
#[cfg(feature = "remote")]
pub use remote::{RemoteObjects, RequestKind, Requests};
#[cfg(feature = "remote")]
pub use remote_store::RemoteStore;
pub use reservation::{Found, Reservation, Verdict};
pub use root::{Conditions, Root};
pub use server_clock::{Bounds, ServerClock};
pub use store::{ObjectStore, Swept};
pub use sweep::Sweep;
pub use tuning::Tuning;
