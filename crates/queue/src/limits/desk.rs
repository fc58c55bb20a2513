//! Where a worker gets and keeps its permits.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::limit::{CONFIGURATION, Granted, Limit, Limits, Scope};
use longshore_core::{Clock, ErrorKind, QueueName, Random, Store, StoreError, WorkerId};
use tokio::task::JoinSet;

use super::exchange::{Errand, Exchange, by_document};
use super::holdings::{Holding, Purse};
use super::rules::Rules;
use crate::complaints::Complaints;
use crate::worker::options::WorkerOptions;

/// Whatever a worker holds against limits, and how it gets it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) exchange: Exchange,
    pub(super) complaints: Arc<Complaints>,
    pub(super) queues: Vec<QueueName>,
    /// The kinds that the worker runs; all if `None`.
    kinds: Option<HashSet<String>>,
    pub(super) lease: Duration,
    pub(super) stop_grace: Duration,
    pub(super) purse: Purse,
    /// Held by whoever asks for permits or sets them aside, since free ones may go meanwhile.
    pub(super) turn: tokio::sync::Mutex<()>,
    rules: Mutex<Option<Arc<Rules>>>,
    /// The tenant that had the last turn.
    pub(super) served: Mutex<Option<String>>,
}

/// Who a desk is for.
#[derive(Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) id: &'a WorkerId,
    pub(crate) options: &'a WorkerOptions,
    pub(crate) complaints: &'a Arc<Complaints>,
    pub(crate) kinds: Option<HashSet<String>>,
}

impl Desk {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        owner: Owner<'_>,
    ) -> Self {
        let options = owner.options;
        // Two workers may have one name, the second after a restart. What one holds is not the
        // other's.
        let run = random.next_u64() >> 32;
        Self {
            purse: Purse::new(Arc::clone(&clock)),
            exchange: Exchange {
                store,
                clock,
                random,
                holder: format!("{}#{run:08x}", owner.id),
                term: term(options.lease, options.stop_grace),
            },
            complaints: Arc::clone(owner.complaints),
            queues: options.queues.clone(),
            kinds: owner.kinds,
            lease: options.lease,
            stop_grace: options.stop_grace,
            turn: tokio::sync::Mutex::default(),
            rules: Mutex::default(),
            served: Mutex::default(),
        }
    }

    /// The limits as they were last read; read now, if they never were.
    pub(super) async fn rules(&self) -> Result<Arc<Rules>, StoreError> {
        if let Some(rules) = self.known_rules() {
            return Ok(rules);
        }
        self.read_rules().await
    }

    /// Whether limits are in force, as far as is known.
    pub(crate) fn is_limited(&self) -> bool {
        self.known_rules().is_some_and(|rules| !rules.is_empty())
    }

    pub(super) fn known_rules(&self) -> Option<Arc<Rules>> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.clone()
    }

    /// Reads which limits are in force.
    pub(super) async fn read_rules(&self) -> Result<Arc<Rules>, StoreError> {
        let stored = self.exchange.store.read_document(CONFIGURATION).await?;
        let version = stored.as_ref().map_or(0, |document| document.version);
        if let Some(rules) = self.known_rules().filter(|rules| rules.version == version) {
            return Ok(rules);
        }
        let limits = match &stored {
            Some(document) => Limits::decode(&document.body)?,
            None => Limits::default(),
        };
        let rules = Rules::new(version, limits, &self.queues, self.kinds.as_ref());
        let rules = Arc::new(rules);
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&rules));
        Ok(rules)
    }

    /// Until when permits must last for a lease that begins now: its end, and what a request may
    /// take on its way.
    pub(super) fn covers_a_lease(&self, now: Duration) -> Duration {
        now + self.lease + self.lease / 8
    }

    /// Until when permits must last for a lease that begins now.
    pub(crate) fn covered_until(&self) -> Duration {
        self.covers_a_lease(self.now())
    }

    /// The name under which permits are held.
    pub(crate) fn holder(&self) -> &str {
        &self.exchange.holder
    }

    pub(crate) fn now(&self) -> Duration {
        self.exchange.clock.monotonic()
    }

    /// Runs errands, those in different documents at the same time, and takes in what they bring.
    pub(super) async fn run(&self, errands: Vec<Errand>) {
        let mut under_way = JoinSet::new();
        for (name, errands) in by_document(errands) {
            let exchange = self.exchange.clone();
            under_way.spawn(async move {
                let answer = exchange.run(&name, &errands).await;
                (name, errands, answer)
            });
        }
        while let Some(ended) = under_way.join_next().await {
            let Ok((name, errands, answer)) = ended else {
                continue;
            };
            if let Err(error) = &answer
                && self.complaints.is_due("permits", error.kind())
            {
                tracing::warn!(
                    error.kind = error.kind().as_str(),
                    document = name,
                    "permits could not be asked for ({error}); trying again"
                );
            }
            self.take_in(&errands, &answer);
        }
    }

    fn take_in(&self, errands: &[Errand], answer: &Result<(Vec<Granted>, Duration), StoreError>) {
        let mut holdings = self.purse.lock();
        match answer {
            Ok((granted, began)) => {
                for (errand, granted) in errands.iter().zip(granted) {
                    holdings.granted(&errand.scope, granted, *began);
                }
            }
            // Others were faster each time; nothing was written.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(_) => {
                for errand in errands {
                    holdings.unsure(&errand.scope, errand.used);
                }
            }
        }
    }

    /// Asks for what is missing to start as many jobs; `None` if nothing is, or if it was refused
    /// a moment ago.
    pub(super) fn missing(
        &self,
        scope: &Scope,
        holding: &Holding,
        jobs: u32,
        now: Duration,
    ) -> Option<Errand> {
        if holding.ask_again > now {
            return None;
        }
        let used = holding.used(now);
        let most = holding.concurrency.unwrap_or_default();
        let wanted = used
            .saturating_add(jobs)
            .min(most)
            .max(holding.held.min(most));
        let is_short = holding.concurrency.is_some()
            && (wanted > holding.held || holding.holds_until < self.covers_a_lease(now));
        let tokens = holding.rate.map_or(0, |rate| {
            // A tenth of a second at once, so that fast rates need few exchanges.
            let tenth = Duration::from_millis(100).as_nanos() / rate.interval().as_nanos().max(1);
            let block = u32::try_from(tenth).unwrap_or(u32::MAX).max(jobs);
            block.min(rate.burst()).saturating_sub(holding.tokens)
        });
        let lacks_tokens = holding.rate.is_some() && holding.tokens < jobs && tokens > 0;
        (is_short || lacks_tokens).then(|| Errand {
            scope: scope.clone(),
            concurrency: holding.concurrency,
            rate: holding.rate,
            used,
            wanted,
            tokens: if lacks_tokens { tokens } else { 0 },
            tokens_back: 0,
        })
    }

    /// Enters a holding for a scope with this limit and says what is missing in it.
    pub(super) fn missing_of(&self, scope: &Scope, limit: &Limit, jobs: u32) -> Option<Errand> {
        let now = self.now();
        let mut holdings = self.purse.lock();
        let holding = holdings.enter(scope, limit, now);
        self.missing(scope, holding, jobs, now)
    }
}

/// For how long permits are asked: a lease that begins when a third of that has passed ends within
/// it, and handlers that have to stop have their grace.
pub(super) fn term(lease: Duration, stop_grace: Duration) -> Duration {
    lease + lease / 2 + stop_grace + Duration::from_secs(2)
}
