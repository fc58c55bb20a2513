//! A look at the bucket: whether a store is safe there, and what mends it if not.

use std::time::Duration;

use bytes::Bytes;
use longshore_bucket::Provider;
use longshore_core::{Complaint, Severity};

use crate::batch_key::CLOCK_TOLERANCE;
use crate::key::Key;
use crate::objects::{Landing, Objects as _, Range, RequestError};
use crate::probe::try_conditions;
use crate::remote::{RemoteObjects, RequestKind, Requests};
use crate::remote_store::RemoteStore;

/// By how much the clocks of server and program may differ before it is worth saying.
const APART: Duration = Duration::from_secs(5);

/// What [`RemoteStore::examine`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// The bucket, its prefix and the server.
    pub location: String,
    /// How long a read took, and its answer.
    pub round_trip: Duration,
    /// How many requests this took.
    pub requests: Requests,
    /// What is wrong. Empty if all is well.
    pub complaints: Vec<Complaint>,
}

impl Examination {
    fn add(&mut self, severity: Severity, message: impl Into<String>, remedy: impl Into<String>) {
        let complaint = Complaint::new(severity, message, remedy);
        self.complaints.push(complaint);
    }
}

impl RemoteStore {
    /// The command that shows whether anybody answers where the bucket is.
    #[must_use]
    pub fn reach(&self) -> String {
        reach(&self.remote().location())
    }

    /// Looks at the bucket: whether it answers, allows every kind of request, heeds conditions and
    /// agrees with this machine's clock, and whether settings of the bucket would harm jobs. About 40
    /// requests; what it writes it deletes again.
    pub async fn examine(&self) -> Examination {
        let remote = self.remote();
        let before = remote.requests();
        let started = remote.clock().monotonic();
        let first = remote.get(&Key::Root.to_string()).await;
        let mut found = Examination {
            location: remote.location(),
            round_trip: remote.clock().monotonic().saturating_sub(started),
            requests: Requests::default(),
            complaints: Vec::new(),
        };
        match first {
            Err(error @ RequestError::Unavailable { .. }) => {
                let remedy = reach(&found.location);
                found.add(Severity::Problem, error.to_string(), remedy);
            }
            first => {
                let is_made = matches!(first, Ok(Some(_)));
                self.examine_answering(&mut found, first.err(), is_made)
                    .await;
            }
        }
        skew(remote, &mut found);
        let after = remote.requests();
        found.requests = after.since(&before);
        found
    }

    /// What a server that answers allows, and heeds. A store that is not made is left so.
    async fn examine_answering(
        &self,
        found: &mut Examination,
        unread: Option<RequestError>,
        is_made: bool,
    ) {
        let remote = self.remote();
        if let Some(error) = unread {
            if let Some(remedy) = remedy_of_who_asks(&error.to_string()) {
                found.add(Severity::Problem, error.to_string(), remedy);
                return;
            }
            let is_missing = |code: &&str| error.to_string().contains(code);
            if ["NoSuchBucket", "ContainerNotFound"].iter().any(is_missing) {
                found.add(Severity::Problem, error.to_string(), make(remote));
                return;
            }
            found.add(
                Severity::Problem,
                error.to_string(),
                permit(remote, RequestKind::Get),
            );
        }
        for (kind, error) in self.try_verbs().await {
            found.add(Severity::Problem, error.to_string(), permit(remote, kind));
        }
        if !found.complaints.is_empty() {
            return;
        }
        let elsewhere = "use a server that enforces conditional writes: `longshore docs object-store` names some";
        if let Err(error) = try_conditions(remote, self.random()).await {
            found.add(Severity::Problem, error.to_string(), elsewhere);
        } else if is_made && let Err(error) = self.prepare().await {
            found.add(
                Severity::Problem,
                error.to_string(),
                "use the bucket that it was copied from",
            );
        }
        settings(remote, found);
    }

    /// What the server refuses of writing, listing and deleting.
    async fn try_verbs(&self) -> Vec<(RequestKind, RequestError)> {
        let remote = self.remote();
        let key = Key::Probe(self.random().next_u64()).to_string();
        let range = Range {
            prefix: "probe/",
            after: None,
            end: None,
            limit: 1,
        };
        let written = remote.create(&key, Bytes::from_static(b"longshore probe 1\n"));
        let written = written.await.map(|_: Landing| ());
        let listed = remote.list(range).await.map(|_| ());
        let deleted = remote.delete(&key).await;
        let tried = [
            (RequestKind::Put, written),
            (RequestKind::List, listed),
            (RequestKind::Delete, deleted),
        ];
        let refused = tried.into_iter();
        refused
            .filter_map(|(kind, answer)| Some((kind, answer.err()?)))
            .collect()
    }
}

/// Who has to allow what, for a kind of request that was refused.
fn permit(remote: &RemoteObjects, kind: RequestKind) -> String {
    let (provider, bucket) = (remote.provider(), remote.bucket());
    let right = match (provider, kind) {
        (Provider::S3, RequestKind::Get) => "s3:GetObject and s3:ListBucket",
        (Provider::S3, RequestKind::Put) => "s3:PutObject",
        (Provider::S3, RequestKind::Delete) => "s3:DeleteObject",
        (Provider::S3, RequestKind::List) => "s3:ListBucket",
        (Provider::Gcs, _) => "the role Storage Object User (roles/storage.objectUser)",
        (Provider::Azure, _) => "the role Storage Blob Data Contributor",
    };
    format!("give the credentials {right} on {bucket}")
}

/// What mends a refusal of all requests, whatever they ask for.
fn remedy_of_who_asks(said: &str) -> Option<&'static str> {
    let is_any = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
    if is_any(&["InvalidAccessKeyId", "SignatureDoesNotMatch"]) {
        Some("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that the server knows")
    } else if is_any(&["ExpiredToken", "InvalidToken"]) {
        Some("set AWS_SESSION_TOKEN to a new token, with the key that came with it")
    } else if is_any(&["RequestTimeTooSkewed"]) {
        Some("timedatectl set-ntp true")
    } else {
        None
    }
}

/// How a person sees whether the server can be reached.
fn reach(location: &str) -> String {
    let endpoint = location.split_once(" at ").map(|(_, endpoint)| endpoint);
    format!(
        "curl --verbose --head {}",
        endpoint.unwrap_or("ENDPOINT, with that of the region")
    )
}

/// The command that makes a bucket.
fn make(remote: &RemoteObjects) -> String {
    let bucket = remote.bucket();
    match remote.provider() {
        Provider::S3 => format!("aws s3api create-bucket --bucket {bucket}"),
        Provider::Gcs => format!("gcloud storage buckets create gs://{bucket}"),
        Provider::Azure => format!("az storage container create --name {bucket}"),
    }
}

/// Whether the server's clock and this machine's agree.
fn skew(remote: &RemoteObjects, found: &mut Examination) {
    let Some(bounds) = remote.known_bounds() else {
        return;
    };
    let here = remote.clock().now();
    let apart = here.since(bounds.most).max(bounds.least.since(here));
    if apart <= APART {
        return;
    }
    let severity = match apart > CLOCK_TOLERANCE {
        true => Severity::Problem,
        false => Severity::Warning,
    };
    let message = format!(
        "this machine's clock and the server's are {} s apart: leases go by the server's, but requests \
         that are signed with a time 15 minutes off are refused",
        apart.as_secs()
    );
    found.add(severity, message, "sudo timedatectl set-ntp true");
}

/// What the bucket's own settings would do to the objects of a store.
fn settings(remote: &RemoteObjects, found: &mut Examination) {
    let (told, bucket) = (remote.told(), remote.bucket());
    // The others number every version, whether they keep it or not.
    if remote.provider() == Provider::S3 && told.versioned {
        found.add(
            Severity::Warning,
            "the bucket keeps every version that is replaced or deleted: several for each batch of jobs, \
             for as long as no rule deletes them",
            format!(
                "aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Suspended"
            ),
        );
    }
    if told.expires {
        found.add(
            Severity::Problem,
            "a lifecycle rule of the bucket deletes objects of the store by their age: jobs that wait or are \
             over would be gone",
            format!("aws s3api get-bucket-lifecycle-configuration --bucket {bucket}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_wrong_is_not_taken_for_a_right_that_is_missing() {
        for (said, mend) in [
            (
                "status 403 InvalidAccessKeyId: no such key",
                "AWS_SECRET_ACCESS_KEY",
            ),
            (
                "status 403 SignatureDoesNotMatch: check it",
                "AWS_SECRET_ACCESS_KEY",
            ),
            ("status 400 ExpiredToken: it is over", "AWS_SESSION_TOKEN"),
            ("status 403 RequestTimeTooSkewed: too far", "set-ntp"),
        ] {
            let remedy = remedy_of_who_asks(said).unwrap_or_default();
            assert!(remedy.contains(mend), "{said}: {remedy}");
        }
        assert_eq!(remedy_of_who_asks("status 403 AccessDenied: no"), None);
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_by_hand() {
        let command = reach("s3://jobs/shop at http://127.0.0.1:9000");
        assert_eq!(command, "curl --verbose --head http://127.0.0.1:9000");
    }
}
