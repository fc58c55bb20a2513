//! What producers go by: how long a queue may get, and how fast.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::limit::{CONFIGURATION, LimitRefused, Limits, Rate, Scope};
use longshore_core::{ErrorKind, NewJob, QueueName, StoreError};

use super::exchange::{Errand, Exchange};

/// How old what a producer knows of limits and lengths may be.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// The same for a length that would refuse a job.
const GOOD_TO_REFUSE: Duration = Duration::from_millis(100);
/// For how much of a fast rate tokens are taken at once.
const BLOCK: Duration = Duration::from_millis(50);

/// What a producer and its clones know of limits.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Known>);

/// Times are readings of the producer's monotonic clock.
#[derive(Debug, Default)]
struct Known {
    limits: Option<(Duration, u64, Arc<Limits>)>,
    /// Unfinished jobs by queue, and what was sent since.
    lengths: Option<(Duration, HashMap<QueueName, u64>)>,
    /// Tokens that were taken and not used.
    tokens: HashMap<QueueName, (Duration, u32)>,
}

/// Jobs of one queue that want in.
struct Wish<'a> {
    queue: &'a QueueName,
    jobs: u32,
}

/// For each job of a call why it was refused, if it was; empty if none was.
pub(crate) type Refusals = Vec<Option<LimitRefused>>;

impl Gate {
    /// Whether no job can be refused, as far as is known and was read lately.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        self.lock()
            .limits
            .as_ref()
            .is_some_and(|(read_at, _, limits)| {
                limits.is_empty() && now.saturating_sub(*read_at) < GOOD_FOR
            })
    }

    /// Which jobs of a call a limit refuses.
    pub(crate) async fn refusals(&self, exchange: &Exchange, jobs: &[NewJob]) -> Refusals {
        let limits = match self.limits(exchange).await {
            Ok(limits) => limits,
            Err(error) => {
                let kind = error.kind().as_str();
                tracing::warn!(error.kind = kind, "the limits could not be read ({error})");
                return Refusals::new();
            }
        };
        let mut allowed: HashMap<&QueueName, (u32, LimitRefused)> = HashMap::new();
        for wish in wishes(jobs) {
            if let Some(refused) = self.room(exchange, &limits, &wish).await {
                allowed.insert(wish.queue, refused);
            }
        }
        if allowed.is_empty() {
            return Refusals::new();
        }
        let one = |job: &NewJob| match allowed.get_mut(&job.queue) {
            Some((0, refused)) => Some(refused.clone()),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        jobs.iter().map(one).collect()
    }

    /// How many jobs get in and why not all of them; `None` if all do.
    async fn room(
        &self,
        exchange: &Exchange,
        limits: &Limits,
        wish: &Wish<'_>,
    ) -> Option<(u32, LimitRefused)> {
        let limit = limits.get(&Scope::Queue(wish.queue.clone()))?;
        let mut refused = None;
        let mut jobs = wish.jobs;
        if let Some(most) = limit.length {
            let length = self.length(exchange, wish, most).await;
            let room = u32::try_from(most.saturating_sub(length)).unwrap_or(u32::MAX);
            if room < jobs {
                jobs = room;
                refused = Some(LimitRefused::QueueFull {
                    queue: wish.queue.clone(),
                    limit: most,
                    // With those of this call that get in.
                    length: length.saturating_add(u64::from(room)),
                });
            }
        }
        if let Some(rate) = limit.enqueue_rate.filter(|_| jobs > 0) {
            let (tokens, retry_after) = self.tokens(exchange, wish.queue, rate, jobs).await;
            if tokens < jobs {
                jobs = tokens;
                refused = Some(LimitRefused::RateLimited {
                    queue: wish.queue.clone(),
                    rate,
                    retry_after,
                });
            }
        }
        if let Some((_, lengths)) = &mut self.lock().lengths {
            *lengths.entry(wish.queue.clone()).or_default() += u64::from(jobs);
        }
        Some((jobs, refused?))
    }

    async fn limits(&self, exchange: &Exchange) -> Result<Arc<Limits>, StoreError> {
        let now = exchange.clock.monotonic();
        let known = self.lock().limits.clone();
        if let Some((read_at, _, limits)) = &known
            && now.saturating_sub(*read_at) < GOOD_FOR
        {
            return Ok(Arc::clone(limits));
        }
        let stored = exchange.store.read_document(CONFIGURATION).await?;
        let version = stored.as_ref().map_or(0, |document| document.version);
        let limits = match (known, stored) {
            (Some((_, known, limits)), _) if known == version => limits,
            (_, Some(document)) => Arc::new(Limits::decode(&document.body)?),
            (_, None) => Arc::default(),
        };
        self.lock().limits = Some((now, version, Arc::clone(&limits)));
        Ok(limits)
    }

    /// Unfinished jobs of a queue, a second old at most, and what was sent since.
    async fn length(&self, exchange: &Exchange, wish: &Wish<'_>, most: u64) -> u64 {
        let now = exchange.clock.monotonic();
        let known = self.lock().lengths.as_ref().map(|(read_at, lengths)| {
            let length = lengths.get(wish.queue).copied().unwrap_or_default();
            (now.saturating_sub(*read_at), length)
        });
        let fits = |length: u64| length.saturating_add(u64::from(wish.jobs)) <= most;
        match known {
            Some((age, length)) if age < GOOD_TO_REFUSE || (age < GOOD_FOR && fits(length)) => {
                return length;
            }
            _ => {}
        }
        let Ok(stats) = exchange.store.queue_stats().await else {
            return known.map_or(0, |(_, length)| length);
        };
        let lengths: HashMap<QueueName, u64> = stats
            .into_iter()
            .map(|stats| (stats.queue.clone(), stats.unfinished()))
            .collect();
        let length = lengths.get(wish.queue).copied().unwrap_or_default();
        self.lock().lengths = Some((now, lengths));
        length
    }

    /// Takes tokens for so many jobs, and says when there may be more.
    async fn tokens(
        &self,
        exchange: &Exchange,
        queue: &QueueName,
        rate: Rate,
        jobs: u32,
    ) -> (u32, Duration) {
        let now = exchange.clock.monotonic();
        let left = self.lock().tokens.remove(queue);
        let left = left.filter(|(taken_at, _)| now.saturating_sub(*taken_at) < GOOD_FOR);
        let left = left.map_or(0, |(_, tokens)| tokens);
        let mut tokens = left;
        let mut retry_after = rate.interval();
        if left < jobs {
            let block = BLOCK.as_nanos() / rate.interval().as_nanos().max(1);
            let block = u32::try_from(block).unwrap_or(u32::MAX).max(jobs);
            let errand = Errand {
                scope: Scope::Queue(queue.clone()),
                concurrency: None,
                rate: Some(rate),
                used: 0,
                wanted: 0,
                tokens: block.min(rate.burst()).saturating_sub(left),
                tokens_back: 0,
            };
            let name = Scope::producers_document(queue);
            match exchange.run(&name, &[errand]).await {
                Ok((granted, _)) => {
                    let granted = granted.first().copied().unwrap_or_default();
                    tokens = left.saturating_add(granted.tokens);
                    retry_after = granted.ask_again_in.unwrap_or(retry_after);
                }
                // Too many ask at once to be sure of a token.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                // The enqueue will say what is wrong with the store.
                Err(_) => return (jobs, retry_after),
            }
        }
        let unused = tokens.saturating_sub(jobs);
        if unused > 0 {
            self.lock().tokens.insert(queue.clone(), (now, unused));
        }
        (tokens.min(jobs), retry_after)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many jobs of each queue want in, in the order in which they come.
fn wishes(jobs: &[NewJob]) -> Vec<Wish<'_>> {
    let mut wishes: Vec<Wish<'_>> = Vec::with_capacity(1);
    for job in jobs {
        match wishes.iter_mut().find(|wish| *wish.queue == job.queue) {
            Some(wish) => wish.jobs = wish.jobs.saturating_add(1),
            None => wishes.push(Wish {
                queue: &job.queue,
                jobs: 1,
            }),
        }
    }
    wishes
}
