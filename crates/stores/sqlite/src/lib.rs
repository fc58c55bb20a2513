//! The embedded store of Longshore: one SQLite file, shared by several processes.
//!
//! One thread owns the connection that writes. It gathers the calls that arrive together into one
//! transaction (a *group*), gives each a savepoint of its own, and answers them only when the
//! group is durable, so that many callers share one `fsync`. Reads go through connections of
//! their own and never hold up the writer.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("longshore-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! use longshore_core::{NewJob, Place, Store};
//! use longshore_sqlite::{SqliteOptions, SqliteStore};
//!
//! let store = SqliteStore::open(SqliteOptions::at(folder.join("jobs.db")))?;
//! let place = Place::new("mail".try_into()?);
//! let id = store.mint(&[place]).await?.remove(0);
//! let job = NewJob::new(id.clone(), "mail".try_into()?, "send_mail".try_into()?, "{}");
//! store.enqueue(vec![job]).await?;
//! assert!(store.get(&id).await?.is_some());
//! # drop(store); std::fs::remove_dir_all(&folder)?; Ok(()) }
//! ```
//!
//! | to find | look in |
//! | --- | --- |
//! | the tables | `migrations/` |
//! | the statements, each with what it takes, gives and guarantees | `sql/` |
//! | how calls become groups | `writer.rs` |
//! | what each method of the contract does | the module named for it |

mod admin;
mod blob;
mod claim;
mod connection;
mod counts;
mod document;
mod enqueue;
mod error;
mod examination;
mod filesystem;
mod heartbeat;
mod identity;
mod import;
mod listing;
mod log;
mod migrations;
mod options;
mod query;
mod readers;
mod row;
mod settle;
mod store;
mod unique;
mod wake;
mod writer;

pub use examination::Examination;
pub use options::{Durability, SqliteOptions};
pub use rusqlite;
pub use store::SqliteStore;
