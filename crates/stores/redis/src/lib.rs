//! The Redis and Valkey store of Longshore.
//!
//! What a call does, it does within one function on the server: all of it or nothing, in one round
//! trip for the whole batch. The functions are Lua, loaded when they are first needed; from
//! version 7 of the server on as a library of functions, else as a script, of the same text.
//! `docs/redis-functions.md` has what each takes, gives and costs.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use longshore_core::{NewJob, Place, Store};
//! use longshore_redis::{RedisOptions, RedisStore};
//!
//! let store = RedisStore::open(RedisOptions::from_url("redis://127.0.0.1")?);
//! let place = Place::new("mail".try_into()?);
//! let id = store.mint(&[place]).await?.remove(0);
//! let job = NewJob::new(id.clone(), "mail".try_into()?, "send_mail".try_into()?, "{}");
//! store.enqueue(vec![job]).await?;
//! assert!(store.get(&id).await?.is_some());
//! # Ok(()) }
//! ```
//!
//! | to find | look in |
//! | --- | --- |
//! | which keys there are | the head of each file in `lua/` |
//! | the functions | `lua/`, and `contract.rs` for what they take and give |
//! | how a server is found, and what happens when it is gone | `connection.rs` |
//! | what a URL may say | `options.rs` |
//! | jobs as bytes | `lua/job.lua`, `envelope.rs`, `row.rs`, `packed.rs` |

mod answer;
mod beside;
mod call;
mod claim;
mod connection;
mod contract;
mod enqueue;
mod envelope;
mod error;
mod examination;
mod import;
mod library;
mod listing;
mod micros;
mod options;
mod packed;
mod row;
mod server;
mod settle;
mod store;
mod tls;
mod wake;

pub use examination::Examination;
pub use options::{Durability, RedisOptions};
pub use store::RedisStore;
