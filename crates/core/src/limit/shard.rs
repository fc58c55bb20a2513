//! The documents in which ledgers lie.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ledger::Ledger;
use super::limits::{encoded, unreadable};
use super::scope::Scope;
use crate::error::StoreError;
use crate::store::Document;
use crate::time::Timestamp;

/// In how many documents the ledgers of tenants lie.
const TENANT_SHARDS: u64 = 64;

/// The body of a document with ledgers. Only those in use are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shard {
    ledgers: BTreeMap<String, Ledger>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Scope {
    /// The name of the document in which the ledger of this scope lies; none for every tenant,
    /// since each has its own.
    #[must_use]
    pub fn document(&self) -> Option<String> {
        match self {
            Self::Queue(queue) => Some(format!("limits/queue/{queue}")),
            Self::Kind(kind) => Some(format!("limits/kind/{kind}")),
            Self::Tenant(tenant) => {
                let shard = xxhash_rust::xxh3::xxh3_64(tenant.as_bytes()) % TENANT_SHARDS;
                Some(format!("limits/tenants/{shard:02}"))
            }
            Self::EveryTenant => None,
        }
    }

    /// The name of the document in which the ledger of a queue's producers lies.
    #[must_use]
    pub fn producers_document(queue: &crate::QueueName) -> String {
        format!("limits/producers/{queue}")
    }

    /// The names of all documents in which ledgers of tenants lie.
    pub fn tenant_documents() -> impl Iterator<Item = String> {
        (0..TENANT_SHARDS).map(|shard| format!("limits/tenants/{shard:02}"))
    }
}

impl Shard {
    /// The ledger of a scope, made if there is none.
    pub fn ledger(&mut self, scope: &Scope) -> &mut Ledger {
        self.ledgers.entry(scope.to_string()).or_default()
    }

    /// The ledgers in it.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, &Ledger)> {
        let known = |(scope, ledger): (&String, _)| Some((scope.parse().ok()?, ledger));
        self.ledgers.iter().filter_map(known)
    }

    /// Whether nothing is held in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ledgers.is_empty()
    }

    /// The ledgers in a document that may not be there yet.
    ///
    /// # Errors
    /// `Corrupt`: the body is none that this or a newer version has written.
    pub fn decode(name: &str, document: Option<&Document>) -> Result<Self, StoreError> {
        let Some(document) = document else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&document.body).map_err(|error| unreadable(name, error))
    }

    /// The body of the document, without the ledgers in which nothing is held any more.
    ///
    /// # Errors
    /// `Invalid`: more is held than fits into a document.
    pub fn encode(&mut self, name: &str, now: Timestamp) -> Result<Bytes, StoreError> {
        self.ledgers.retain(|_, ledger| !ledger.is_idle(now));
        encoded(name, self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Ask, Terms};
    use super::*;

    fn ask(holder: &str, wanted: u32) -> Ask<'_> {
        Ask {
            holder,
            used: 0,
            wanted,
            term: Duration::from_secs(60),
            tokens: 0,
            tokens_back: 0,
        }
    }

    #[test]
    fn ten_thousand_active_tenants_fit_and_idle_ones_leave_nothing() {
        let now = Timestamp::from_unix_millis(1_000_000);
        let terms = Terms {
            concurrency: Some(5),
            rate: None,
            now,
            clock_error: Duration::ZERO,
        };
        let mut shards: BTreeMap<String, Shard> = BTreeMap::new();
        for tenant in 0..10_000 {
            let scope = Scope::Tenant(format!("tenant-{tenant}"));
            let shard = shards.entry(scope.document().unwrap()).or_default();
            for worker in [
                "longshore-1234-0123456789ab#01234567",
                "longshore-5678-0123456789ab#01234567",
            ] {
                assert_eq!(shard.ledger(&scope).ask(&terms, &ask(worker, 2)).permits, 2);
            }
        }
        assert_eq!(shards.len(), 64);
        for (name, shard) in &mut shards {
            let body = shard.encode(name, now).unwrap();
            let read = Shard::decode(name, Some(&Document { version: 1, body })).unwrap();
            assert_eq!(read, *shard);
            for ledger in shard.ledgers.values_mut() {
                ledger.ask(&terms, &ask("longshore-1234-0123456789ab#01234567", 0));
                ledger.ask(&terms, &ask("longshore-5678-0123456789ab#01234567", 0));
            }
            assert_eq!(shard.encode(name, now).unwrap(), "{\"ledgers\":{}}");
        }
    }

    #[test]
    fn what_a_newer_version_wrote_stays() {
        let body = Bytes::from_static(
            br#"{"ledgers":{"queue:mail":{"holders":{"a":{"permits":1,"since":"2026-05-01T00:00:00Z","until":"2026-05-01T00:01:00Z","term_ms":60000,"zone":"eu"}},"weight":2}},"format":2}"#,
        );
        let document = Document { version: 1, body };
        let mut shard = Shard::decode("limits/queue/mail", Some(&document)).unwrap();
        let now = "2026-05-01T00:00:30Z".parse().unwrap();
        let terms = Terms {
            concurrency: Some(5),
            rate: None,
            now,
            clock_error: Duration::ZERO,
        };
        let scope: Scope = "queue:mail".parse().unwrap();
        shard.ledger(&scope).ask(&terms, &ask("a", 2));
        let written: Value =
            serde_json::from_slice(&shard.encode("limits/queue/mail", now).unwrap()).unwrap();
        let ledger = &written["ledgers"]["queue:mail"];
        assert_eq!(ledger["weight"], 2);
        assert_eq!(ledger["holders"]["a"]["zone"], "eu");
        assert_eq!(ledger["holders"]["a"]["permits"], 2);
        assert_eq!(written["format"], 2);
    }
}
