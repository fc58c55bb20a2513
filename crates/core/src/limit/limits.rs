//! Which limits are in force.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CONFIGURATION;
use super::rate::Rate;
use super::scope::Scope;
use crate::error::{ErrorKind, StoreError};
use crate::store::Document;

/// The limits of one queue, kind or tenant. What is `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limit {
    /// Most jobs that run at once, over all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many jobs start in a time, over all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Most unfinished jobs of a queue before producers are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// How many jobs producers may put into a queue in a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enqueue_rate: Option<Rate>,
    /// Whether tenants take turns in a queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fair: bool,
    /// Whether no job of a kind starts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What a newer version has written, kept as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Limit {
    /// Whether it limits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether workers have to look at it before they start a job.
    #[must_use]
    pub const fn holds_workers(&self) -> bool {
        self.concurrency.is_some() || self.rate.is_some() || self.paused
    }

    /// What it says, for people: each part as words such as `5 at once` or `starts 10/m`.
    ///
    /// ```
    /// use longshore_core::limit::Limit;
    /// let limit = Limit { concurrency: Some(5), fair: true, ..Limit::default() };
    /// assert_eq!(limit.words(), ["5 at once", "tenants take turns"]);
    /// ```
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let concurrency = self.concurrency.map(|most| format!("{most} at once"));
        let rate = self.rate.map(|rate| format!("starts {rate}"));
        let length = self.length.map(|most| format!("{most} unfinished"));
        let enqueue_rate = self.enqueue_rate.map(|rate| format!("takes {rate}"));
        let fair = self.fair.then(|| "tenants take turns".to_owned());
        let paused = self.paused.then(|| "paused".to_owned());
        let all = [concurrency, rate, length, enqueue_rate, fair, paused];
        all.into_iter().flatten().collect()
    }

    fn check(&self, scope: &Scope) -> Result<(), StoreError> {
        let wrong = |text: &str| {
            let message = format!("the limit of {scope} is not possible: {text}");
            Err(StoreError::new(ErrorKind::Invalid, message))
        };
        let of_queue = matches!(scope, Scope::Queue(_));
        if self.concurrency == Some(0) {
            let other = match scope {
                Scope::Queue(_) => "to stop a queue, pause it",
                Scope::Kind(_) => "to stop a kind, pause it",
                Scope::Tenant(_) | Scope::EveryTenant => "use 1 or more",
            };
            return wrong(&format!(
                "a concurrency of 0 would never run a job; {other}"
            ));
        }
        if self.length == Some(0) {
            return wrong("a length of 0 would never take a job; use 1 or more");
        }
        if !of_queue && (self.length.is_some() || self.enqueue_rate.is_some() || self.fair) {
            return wrong("length, enqueue rate and fairness are for queues");
        }
        if self.paused && !matches!(scope, Scope::Kind(_)) {
            return wrong("only a kind is paused by a limit; a queue has its own pause");
        }
        Ok(())
    }
}

/// All limits that are in force: the body of the document [`CONFIGURATION`].
///
/// ```
/// use longshore_core::limit::{Limit, Limits, Scope};
/// let mut limits = Limits::default();
/// let scope: Scope = "queue:mail".parse()?;
/// limits.set(scope.clone(), Limit { concurrency: Some(5), ..Limit::default() })?;
/// let stored = limits.encode()?;
/// assert_eq!(Limits::decode(&stored)?.get(&scope).unwrap().concurrency, Some(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    limits: BTreeMap<String, Limit>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Limits {
    /// The limit of exactly this scope.
    #[must_use]
    pub fn get(&self, scope: &Scope) -> Option<&Limit> {
        self.limits.get(&scope.to_string())
    }

    /// The limit of a tenant: its own, or that of every tenant.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Option<&Limit> {
        let own = self.limits.get(&format!("tenant:{tenant}"));
        own.or_else(|| self.get(&Scope::EveryTenant))
    }

    /// Every limit. Scopes that only a newer version knows are left out.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, &Limit)> {
        let known = |(scope, limit): (&String, _)| Some((scope.parse().ok()?, limit));
        self.limits.iter().filter_map(known)
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Sets the limit of a scope; an empty one is removed.
    ///
    /// # Errors
    /// `Invalid`: the limit is not possible, or not for this scope.
    pub fn set(&mut self, scope: Scope, limit: Limit) -> Result<(), StoreError> {
        limit.check(&scope)?;
        let scope = String::from(scope);
        match limit.is_empty() {
            true => self.limits.remove(&scope),
            false => self.limits.insert(scope, limit),
        };
        Ok(())
    }

    /// Removes the limit of a scope; gives back what it was.
    pub fn remove(&mut self, scope: &Scope) -> Option<Limit> {
        self.limits.remove(&scope.to_string())
    }

    /// The limits in a document's body.
    ///
    /// # Errors
    /// `Corrupt`: the body is none that this or a newer version has written.
    pub fn decode(body: &Bytes) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|error| unreadable(CONFIGURATION, error))
    }

    /// The body of the document.
    ///
    /// # Errors
    /// `Invalid`: there are more limits than fit into a document.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        encoded(CONFIGURATION, self)
    }
}

/// The error of a document whose body is not what it should be.
pub(super) fn unreadable(name: &str, error: serde_json::Error) -> StoreError {
    let message = format!(
        "the document `{name}` cannot be read ({error}): restore it from a backup, or delete it and set the limits again"
    );
    StoreError::new(ErrorKind::Corrupt, message).with_source(error)
}

/// A document's body, if it is not too large.
pub(super) fn encoded(name: &str, body: &impl Serialize) -> Result<Bytes, StoreError> {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        let message = format!("the document `{name}` cannot be written");
        StoreError::new(ErrorKind::Internal, message).with_source(error)
    })?;
    let (has, most) = (bytes.len(), Document::MAX_BYTES);
    if has > most {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the document `{name}` would take {has} bytes, more than the {most} allowed: remove limits that are not needed, or use one limit for every tenant"
            ),
        ));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_newer_version_wrote_stays() {
        let body = r#"{"limits":{"queue:mail":{"concurrency":5,"weight":3},"region:eu":{"concurrency":1}},"format":2}"#;
        let mut limits = Limits::decode(&Bytes::from(body)).unwrap();
        assert_eq!(limits.iter().count(), 1);
        let mail = Limit {
            rate: Some("3/s".parse().unwrap()),
            ..limits.get(&scope("queue:mail")).unwrap().clone()
        };
        limits.set(scope("queue:mail"), mail).unwrap();
        let written: Value = serde_json::from_slice(&limits.encode().unwrap()).unwrap();
        assert_eq!(written["limits"]["queue:mail"]["weight"], 3);
        assert_eq!(written["limits"]["queue:mail"]["concurrency"], 5);
        assert_eq!(written["limits"]["region:eu"]["concurrency"], 1);
        assert_eq!(written["format"], 2);
    }

    #[test]
    fn a_limit_that_would_stop_everything_or_is_elsewhere_is_refused() {
        let mut limits = Limits::default();
        let none = Limit {
            concurrency: Some(0),
            ..Limit::default()
        };
        let error = limits.set(scope("kind:a"), none).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("pause it"), "{error}");
        let paused = Limit {
            paused: true,
            ..Limit::default()
        };
        assert!(limits.set(scope("queue:a"), paused.clone()).is_err());
        assert!(limits.set(scope("kind:a"), paused).is_ok());
        let length = Limit {
            length: Some(5),
            ..Limit::default()
        };
        assert!(limits.set(scope("tenants"), length).is_err());
    }

    #[test]
    fn a_tenant_has_its_own_limit_or_that_of_all() {
        let mut limits = Limits::default();
        let at_most = |most| Limit {
            concurrency: Some(most),
            ..Limit::default()
        };
        limits.set(scope("tenants"), at_most(2)).unwrap();
        limits.set(scope("tenant:acme"), at_most(9)).unwrap();
        assert_eq!(limits.of_tenant("acme").unwrap().concurrency, Some(9));
        assert_eq!(limits.of_tenant("other").unwrap().concurrency, Some(2));
        limits.set(scope("tenants"), Limit::default()).unwrap();
        assert!(limits.of_tenant("other").is_none());
    }

    #[test]
    fn too_many_limits_and_a_body_that_is_none_say_what_to_do() {
        let mut limits = Limits::default();
        for tenant in 0..9_000 {
            let limit = Limit {
                concurrency: Some(1),
                ..Limit::default()
            };
            limits
                .set(Scope::Tenant(format!("tenant-{tenant}")), limit)
                .unwrap();
        }
        let error = limits.encode().unwrap_err();
        assert!(error.to_string().contains("every tenant"), "{error}");
        let error = Limits::decode(&Bytes::from_static(b"{\"limits\":[]}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
