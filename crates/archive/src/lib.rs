//! A copy of sealed traces in an object store: S3, or a server that speaks as S3 does.
//!
//! The trace store seals spans into Parquet files on this machine, and deletes them when their time
//! has come. With an archive each of them is copied as well, as it is and under its own name, so that
//! it outlives the machine and can be read from anywhere by what reads Parquet. Copying never stands
//! in the way of sealing: what could not be copied is tried again.
//!
//! | to | use |
//! | --- | --- |
//! | open one | [`Archive::open`] with `s3://BUCKET/PREFIX` |
//! | copy what is new, again and again | [`Copier::turn`] |
//! | see what is there | [`Archive::list`] |
//! | find the files with a trace, and bring them back | [`Archive::may_hold`], [`Archive::fetch`] |
//!
//! How long a copy is kept is said to the bucket: that its time has come on this machine changes
//! nothing there. Only small files that the trace store put together are deleted there, once the larger
//! file that has their spans is there. `docs/trace-store.md` has what all of this costs in requests.

mod copier;
mod error;
mod store;

pub use copier::{Copied, Copier, SoFar};
pub use error::ArchiveError;
pub use store::{Archive, Archived};
