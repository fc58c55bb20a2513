//! One change of the ledgers in one document: read, decide, write if nobody wrote meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::limit::{Ask, Granted, Rate, Scope, Shard, Terms};
use longshore_core::{Clock, Document, ErrorKind, Random, Store, StoreError};
use tokio::time::sleep;

/// How often one who lost the race for a document tries again.
const TRIES: u32 = 12;
/// The pause after the first lost race; at most twice as long after each.
const PAUSE: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// What is asked of the ledger of one scope.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) scope: Scope,
    pub(crate) concurrency: Option<u32>,
    pub(crate) rate: Option<Rate>,
    pub(crate) used: u32,
    pub(crate) wanted: u32,
    pub(crate) tokens: u32,
    pub(crate) tokens_back: u32,
}

/// Who asks, of which store, by which clock.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// Of one run of a worker, never of two.
    pub(crate) holder: String,
    /// For how long permits are asked.
    pub(crate) term: Duration,
}

/// Errands by the document that they concern.
pub(crate) fn by_document(errands: Vec<Errand>) -> BTreeMap<String, Vec<Errand>> {
    let mut documents: BTreeMap<String, Vec<Errand>> = BTreeMap::new();
    for errand in errands {
        if let Some(name) = errand.scope.document() {
            documents.entry(name).or_default().push(errand);
        }
    }
    documents
}

impl Exchange {
    /// Runs errands in one document. Gives back what was granted, in order, and the reading of the
    /// monotonic clock from which its times count.
    ///
    /// # Errors
    /// `Conflict`: others were faster each time, and nothing was changed. After any other, it may
    /// have been.
    pub(crate) async fn run(
        &self,
        name: &str,
        errands: &[Errand],
    ) -> Result<(Vec<Granted>, Duration), StoreError> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            match self.once(name, errands).await {
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {
                    sleep(pause.mul_f64(self.random.unit())).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn once(
        &self,
        name: &str,
        errands: &[Errand],
    ) -> Result<(Vec<Granted>, Duration), StoreError> {
        let stored = self.store.read_document(name).await?;
        // Read before the store's, so that what is granted ends here no later than there.
        let began = self.clock.monotonic();
        let now = self.store.now().await?;
        let clock_error = self.store.info().clock_error;
        let mut shard = Shard::decode(name, stored.as_ref())?;
        let ask = |errand: &Errand| {
            let terms = Terms {
                concurrency: errand.concurrency,
                rate: errand.rate.as_ref(),
                now,
                clock_error,
            };
            let ask = Ask {
                holder: &self.holder,
                used: errand.used,
                wanted: errand.wanted,
                term: self.term,
                tokens: errand.tokens,
                tokens_back: errand.tokens_back,
            };
            shard.ledger(&errand.scope).ask(&terms, &ask)
        };
        let granted = errands.iter().map(ask).collect();
        let body = shard.encode(name, now)?;
        let (version, changed) = match &stored {
            Some(Document { version, body: had }) => (*version, *had != body),
            None => (0, !shard.is_empty()),
        };
        if changed {
            self.store.write_document(name, version, body).await?;
        }
        Ok((granted, began))
    }
}
