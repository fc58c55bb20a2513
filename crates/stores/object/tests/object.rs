//! The store on a server in this process: what the contract asks for, and what goes wrong.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "object/cases.rs"]
mod cases;
#[path = "object/conformance.rs"]
mod conformance;
#[path = "object/costs.rs"]
mod costs;
#[path = "object/explore.rs"]
mod explore;
#[path = "object/given_up.rs"]
mod given_up;
#[path = "object/long_index.rs"]
mod long_index;
#[path = "object/looks.rs"]
mod looks;
#[path = "object/parts.rs"]
mod parts;
#[cfg(feature = "aws")]
#[path = "object/remote.rs"]
mod remote;
#[path = "object/rescued.rs"]
mod rescued;
#[path = "object/revived.rs"]
mod revived;
#[path = "object/script.rs"]
mod script;
#[path = "object/server.rs"]
mod server;
#[path = "object/side_by_side.rs"]
mod side_by_side;
#[path = "object/simulation.rs"]
mod simulation;
#[path = "object/watch.rs"]
mod watch;
