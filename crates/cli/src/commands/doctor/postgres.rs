//! Whether a PostgreSQL server and the schema of the store are in order.

use longshore_postgres::PostgresStore;

use super::{Finding, Grade};
use crate::text;

const CHECK: &str = "database";

/// The checks of the server, its settings and the schema.
pub(super) async fn checks(store: &PostgresStore) -> Vec<Finding> {
    let found = match store.examine().await {
        Ok(found) => found,
        Err(error) => return vec![Finding::new(CHECK, Grade::Problem, error.to_string())],
    };
    let said = format!(
        "PostgreSQL {}, layout version {}, about {} jobs that wait or run and {} that are over, {}",
        found.server_version,
        found.layout_version,
        found.unfinished,
        found.over,
        text::bytes(found.bytes)
    );
    let mut findings = vec![Finding::new(CHECK, Grade::Ok, said)];
    let complaints = found.complaints.into_iter();
    findings.extend(complaints.map(|complaint| Finding::of(CHECK, complaint)));
    findings
}
