//! The PostgreSQL store of Longshore, for many machines.
//!
//! What happens for every job is one round trip each: functions in the schema enqueue, claim, beat
//! and settle, a batch at a time, and are planned once for each connection. Jobs that are over
//! move to a table of their own, so that claims stay as fast with ten million of them as with none.
//! All else is transactions of a few statements, decided on by the transitions of
//! [`longshore_core`].
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use longshore_core::{NewJob, Place, Store};
//! use longshore_postgres::{PostgresOptions, PostgresStore};
//!
//! let options = PostgresOptions::from_url("postgres://app@localhost/app")?;
//! let store = PostgresStore::open(options)?;
//! let id = store.mint(&[Place::new("mail".try_into()?)]).await?.remove(0);
//! let job = NewJob::new(id.clone(), "mail".try_into()?, "send_mail".try_into()?, "{}");
//! store.enqueue(vec![job]).await?;
//! assert!(store.get(&id).await?.is_some());
//! # Ok(()) }
//! ```
//!
//! | to find | look in |
//! | --- | --- |
//! | the tables, and the functions for every job | `migrations/` |
//! | the statements, each with what it takes, gives and guarantees | `sql/` |
//! | how a call gets its connection | `session.rs` |
//! | what each method of the contract does | the module named for it |

mod admin;
mod claim;
mod document;
mod enqueue;
mod error;
mod examination;
mod heartbeat;
mod import;
mod listing;
mod migrations;
mod options;
mod query;
mod replacement;
mod row;
mod session;
mod settle;
mod statement;
mod store;
mod unique;
mod wake;

pub use examination::Examination;
pub use options::{Pooler, PostgresOptions};
pub use sqlx;
pub use store::PostgresStore;
