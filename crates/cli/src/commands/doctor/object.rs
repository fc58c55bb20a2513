//! Whether a bucket keeps the jobs of a store safe.

use longshore_object::{RemoteStore, RequestKind, Severity};

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
    findings.extend(found.complaints.into_iter().map(|complaint| {
        let grade = match complaint.severity {
            Severity::Warning => Grade::Warning,
            Severity::Problem => Grade::Problem,
        };
        Finding::new(CHECK, grade, complaint.message).mended_by(complaint.remedy)
    }));
    findings
}
