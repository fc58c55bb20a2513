//! Whether a Redis or Valkey server keeps the jobs of a store safe.

use longshore_redis::RedisStore;

use super::{Finding, Grade};
use crate::text;

const CHECK: &str = "server";

/// The checks of the server and its settings.
pub(super) async fn checks(store: &RedisStore) -> Vec<Finding> {
    let found = match store.examine().await {
        Ok(found) => found,
        Err(error) => return vec![Finding::new(CHECK, Grade::Problem, error.to_string())],
    };
    let most = match found.max_memory_bytes {
        Some(most) => format!(" of {}", text::bytes(most)),
        None => String::new(),
    };
    let said = format!(
        "{}, layout version {}, {}{most} of memory in use",
        found.server,
        found.layout,
        text::bytes(found.memory_bytes)
    );
    let mut findings = vec![Finding::new(CHECK, Grade::Ok, said)];
    let complaints = found.complaints.into_iter();
    findings.extend(complaints.map(|complaint| Finding::of(CHECK, complaint)));
    findings
}
