//! The ids of the members of a page.

use bytes::Bytes;

use super::{Batch, corrupt};
use crate::error::StoreError;
use crate::id::JobId;

/// The ids of the members of a page, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(pub Vec<JobId>);

impl Members {
    /// Reads the document.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    pub fn decode(body: &[u8]) -> Result<Self, StoreError> {
        let ids: Vec<JobId> =
            serde_json::from_slice(body).map_err(|error| corrupt("members", error))?;
        if ids.len() > usize::from(Batch::PAGE) {
            return Err(corrupt("members", "there are too many in a page"));
        }
        Ok(Self(ids))
    }

    /// Writes the document; a full page fits, however long the ids are.
    ///
    /// # Errors
    /// None that can happen: ids are text.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        let body = serde_json::to_vec(&self.0).map_err(|error| corrupt("members", error))?;
        Ok(Bytes::from(body))
    }
}
