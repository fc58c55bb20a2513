//! Whether a bucket keeps the jobs of a store safe.

use longshore_core::Severity;
use longshore_object::{RemoteStore, RequestKind};

use super::{Finding, Grade};
use crate::text;

const CHECK: &str = "bucket";

/// The checks of the bucket, its server and the credentials.
pub(super) async fn checks(store: &RemoteStore) -> Vec<Finding> {
    let found = store.examine().await;
    let requests = RequestKind::ALL.map(|kind| {
        let name = kind.as_str().to_uppercase();
        format!("{} {name}", found.requests.of(kind))
    });
    let said = format!(
        "{} answers in {}; this took {}",
        found.location,
        text::duration(found.round_trip),
        requests.join(", ")
    );
    let answers = found
        .complaints
        .iter()
        .all(|complaint| complaint.severity < Severity::Problem);
    let mut findings = Vec::new();
    if answers {
        findings.push(Finding::new(CHECK, Grade::Ok, said));
    }
    let complaints = found.complaints.into_iter();
    findings.extend(complaints.map(|complaint| Finding::of(CHECK, complaint)));
    findings
}
