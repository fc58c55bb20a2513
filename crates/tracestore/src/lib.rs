//! The traces of this machine: read while they are written, found, searched and told as stories.
//!
//! The span log of every process that runs jobs ([`longshore_spanlog`]) is where spans lie; this
//! crate reads its folders, from any number of processes at the same time, and needs no daemon. In
//! memory it holds what lists and searches need: about 1.3 KB for the trace of a job. Spans
//! themselves are read again when somebody asks for them. Log files that are over become Parquet,
//! which other tools read too; `docs/trace-store.md` describes it. Of what is sealed about 60 bytes
//! a trace are in memory.
//!
//! | to | use |
//! | --- | --- |
//! | open folders | [`TraceStore::open`] |
//! | take note of what is new | [`TraceStore::refresh`] |
//! | look up a trace or a span | [`TraceStore::trace`], [`TraceStore::span`] |
//! | tell all of a job | [`TraceStore::story`] |
//! | list and search | [`TraceStore::search`] with a [`Query`](longshore_trace::query::Query) or another [`Filter`] |
//! | seal what is over into Parquet, and keep all within bounds | [`TraceStore::upkeep`], or a [`Sealer`] where nobody reads |
//! | follow | [`TraceStore::tail`] |
//! | help somebody who types | [`TraceStore::services`], [`TraceStore::operations`], [`TraceStore::keys`], [`TraceStore::values`] |
//!
//! ```
//! use longshore_core::{Clock, SystemClock};
//! use longshore_trace::query;
//! use longshore_tracestore::{TraceStore, TraceStoreOptions};
//!
//! # let folder = std::env::temp_dir().join(format!("longshore-tracestore-doc-{}", std::process::id()));
//! let store = TraceStore::open(TraceStoreOptions::new(&folder))?;
//! store.refresh_all()?;
//! let query = query::parse("orders error >2s since:1h", SystemClock::new().now())?;
//! let page = store.search(&query, 100, None)?;
//! for trace in &page.traces {
//!     println!("{} {} {:?}", trace.trace_id, trace.name, trace.error_type);
//! }
//! # assert!(page.traces.is_empty() && page.next_cursor.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod error;
mod fetch;
mod hot;
mod index;
mod sealed;
mod search;
mod store;
mod token;
mod upkeep;

pub use error::TraceStoreError;
pub use sealed::{
    InvalidSealedName, SealedName, may_hold, sealed_files, sealed_folder, sealed_parts,
};
pub use search::{Changes, Filter, Page};
pub use store::{Holdings, Refreshed, StoryOf, Told, TraceStore, TraceStoreOptions};
pub use upkeep::{Kept, Sealer, Upkeep};
