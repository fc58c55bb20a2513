//! The rare fields of a job as text.

use longshore_core::rare_fields::RareFields;
use longshore_core::{Job, NewJob, SpanContext, StoreError};

use super::to_json;
use crate::error::corrupt;

/// The rare fields of a new job as text; `None` if all have their defaults.
pub(crate) fn of(new: &NewJob) -> Result<Option<String>, StoreError> {
    RareFields::of(new).as_ref().map(to_json).transpose()
}

/// The enqueue span that an envelope names.
pub(crate) fn span_of(envelope: Option<&str>) -> Result<Option<SpanContext>, StoreError> {
    Ok(parse(envelope)?.enqueue_span())
}

/// Puts the fields of an envelope back into a job.
pub(super) fn read(job: &mut Job, envelope: Option<&str>) -> Result<(), StoreError> {
    parse(envelope)?.put_into(job);
    Ok(())
}

fn parse(envelope: Option<&str>) -> Result<RareFields<'static>, StoreError> {
    let Some(text) = envelope else {
        return Ok(RareFields::default());
    };
    serde_json::from_str(text).map_err(|error| corrupt("envelope", error))
}
