//! Google Cloud: whose name exports carry, and the project they belong to.
//!
//! Credentials are the "application default" ones: a key file that is named, else those that
//! `gcloud auth application-default login` left behind, else the metadata server of the machine.

mod account;
mod ask;
mod place;
mod tokens;

pub(crate) use place::Place;
pub(super) use tokens::Tokens;
