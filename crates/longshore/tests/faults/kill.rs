//! Workers that are killed: at moments of their own choice around a settle, and at any moment.
//!
//! No trace leaves by chance here, only those of jobs that fail or whose worker dies. Whether they
//! are whole is judged by the rows of the store and by what arrived. That on SQLite, and on servers of
//! PostgreSQL, Redis and S3, which the tests start themselves.
//!
//! `LONGSHORE_FAULT_SEEDS=5,17` or `0..100` says which seeds are run.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::{
    AttemptOutcome, AttemptRecord, Job, JobFilter, JobPage, Random, Rescued, RetryPolicy,
    SpanContext, SpanId, Store, StoreError, SystemClock, SystemRandom, TraceId,
};
use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_telemetry::{Config, Environment, Telemetry};
use longshore_testkit::SeededRandom;
use longshore_testkit::collector::Collector;
use longshore_testkit::way::{Around, Effect, Way};
use longshore_testkit::{postgres_server, redis_server, s3_server};

use crate::bed::{Folder, PATIENCE};
use crate::child;

const JOBS: u64 = 120;
/// Workers of one seed that die.
const DEATHS: u64 = 5;

/// When a worker dies by its own hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Never,
    /// Never by its own hand: the test ends it at any moment.
    Anytime,
    /// It took jobs back, and the spans of their lost attempts are not written down.
    Rescued,
    /// Its spans are held, and the settle is not sent: so many settles later.
    Held(u64),
    /// The settle is done, and its spans are not released.
    Settled(u64),
    /// They are released, and not exported.
    Released(u64),
}

impl Moment {
    fn to_words(self) -> String {
        match self {
            Self::Never => "never 0".to_owned(),
            Self::Anytime => "anytime 0".to_owned(),
            Self::Rescued => "rescued 0".to_owned(),
            Self::Held(settles) => format!("held {settles}"),
            Self::Settled(settles) => format!("settled {settles}"),
            Self::Released(settles) => format!("released {settles}"),
        }
    }

    fn from_words(words: &str) -> Self {
        let (word, settles) = words.split_once(' ').unwrap();
        let settles = settles.parse().unwrap();
        match word {
            "anytime" => Self::Anytime,
            "rescued" => Self::Rescued,
            "held" => Self::Held(settles),
            "settled" => Self::Settled(settles),
            "released" => Self::Released(settles),
            _ => Self::Never,
        }
    }
}

/// A way to the store at which the process ends.
#[derive(Debug)]
struct Deadly {
    moment: Moment,
    settles: AtomicU64,
    telemetry: Arc<Telemetry>,
}

impl Deadly {
    /// Whether the machine is so slow that a settle did not wait until its spans were safe. Then
    /// nothing is promised of a worker that is killed.
    fn is_unsafe(&self) -> bool {
        self.telemetry.counters().unsafe_settles > 0
    }

    /// Ends this process, as nothing can be prepared for.
    fn die(&self) {
        if self.is_unsafe() {
            return;
        }
        let kill = format!("kill -9 {}", std::process::id());
        let _no_answer = Command::new("sh").args(["-c", &kill]).status();
        loop {
            std::thread::park();
        }
    }
}

impl Way for Deadly {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        if method != "settle" {
            let answer = effect.await;
            let rescued = answer.as_ref().ok().map(|answer| answer as &dyn Any);
            let rescued = rescued.and_then(|answer| answer.downcast_ref::<Vec<Rescued>>());
            if self.moment == Moment::Rescued && rescued.is_some_and(|jobs| !jobs.is_empty()) {
                self.die();
            }
            return answer;
        }
        if self.moment == Moment::Anytime && self.is_unsafe() {
            // It is not sent, so that nothing has to be promised until the process is killed.
            std::future::pending::<()>().await;
        }
        let number = self.settles.fetch_add(1, Ordering::SeqCst);
        // The worker releases what it held after one settle before it sends the next.
        if matches!(self.moment, Moment::Held(at) if at == number)
            || matches!(self.moment, Moment::Released(at) if at + 1 == number)
        {
            self.die();
        }
        let answer = effect.await;
        if matches!(self.moment, Moment::Settled(at) if at == number) {
            self.die();
        }
        answer
    }
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("jobs.db").display())
}

/// A schema of its own.
fn postgres(server: &postgres_server::Server) -> String {
    let number = SystemRandom.next_u64();
    format!("{}?schema=faults_{number:016x}", server.url())
}

/// A prefix of its own.
fn s3(server: &s3_server::S3Server) -> String {
    let (bucket, address) = (s3_server::S3Server::BUCKET, server.address());
    let number = SystemRandom.next_u64();
    format!(
        "s3://{bucket}/{number:016x}?region=us-east-1&endpoint=http://{address}\
         &access_key_id=test&secret_access_key=test"
    )
}

fn telemetry(folder: &Path, endpoint: &str) -> Telemetry {
    let log = folder.join("spans");
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", log.to_str().unwrap()),
        // On a loaded machine any job may be slow by what the others taught.
        ("LONGSHORE_TELEMETRY_RUN_OBJECTIVE", "1h"),
    ];
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    assert_eq!((config.warnings(), warnings.as_slice()), (&[][..], &[][..]));
    telemetry
}

async fn handle(number: u64, attempt: Attempt) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(number % 5)).await;
    if number.is_multiple_of(11) {
        return Err(JobError::discard("planned", "every eleventh is given up"));
    }
    if number.is_multiple_of(3) && attempt.number() == 1 {
        return Err(JobError::retry("planned", "every third fails once"));
    }
    Ok(())
}

#[tokio::test]
async fn part_work() {
    let Some((folder, words)) = child::told() else {
        return;
    };
    let folder = PathBuf::from(folder);
    let (endpoint, words) = words.split_once(' ').unwrap();
    let (url, moment) = words.split_once(' ').unwrap();
    let store = longshore::connect(url).unwrap();
    let telemetry = Arc::new(telemetry(&folder, endpoint));
    let way = Deadly {
        moment: Moment::from_words(moment),
        settles: AtomicU64::new(0),
        telemetry: Arc::clone(&telemetry),
    };
    let worker = Worker::builder(Arc::new(Around::through(store, way)))
        .queue("orders")
        .handler("pack", handle)
        .retry(RetryPolicy::fixed(Duration::from_millis(20)))
        .recorder(telemetry.recorder())
        .lease(Duration::from_secs(1))
        .concurrency(6)
        .drain(true)
        .build()
        .unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert!(telemetry.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn killed_workers_lose_no_trace_on_sqlite() {
    each_seed(1..5, sqlite).await;
}

#[tokio::test]
async fn killed_workers_lose_no_trace_on_postgres() {
    if let Some(server) = postgres_server::shared() {
        each_seed(11..13, |_| postgres(server)).await;
    }
}

#[tokio::test]
async fn killed_workers_lose_no_trace_on_redis() {
    if let Some(server) = redis_server::shared() {
        each_seed(21..23, |_| server.url()).await;
    }
}

#[tokio::test]
async fn killed_workers_lose_no_trace_on_object_storage() {
    if let Some(server) = s3_server::shared() {
        each_seed(31..33, |_| s3(&server)).await;
    }
}

async fn each_seed(usual: std::ops::Range<u64>, url: impl Fn(&Path) -> String) {
    for seed in crate::chosen("LONGSHORE_FAULT_SEEDS", usual) {
        let folder = Folder::new();
        let url = url(&folder.0);
        one_seed(seed, &folder, &url).await;
    }
}

async fn one_seed(seed: u64, folder: &Folder, url: &str) {
    let collector = Collector::start().unwrap();
    let endpoint = collector.http_endpoint();
    let store = longshore::connect(url).unwrap();
    // It enqueues, and later ships what the dead have left.
    let telemetry = telemetry(&folder.0, &endpoint);
    let producer = Producer::new(Arc::clone(&store)).with_recorder(telemetry.recorder());
    let requests = (0..JOBS).map(|number| JobRequest::new("orders", "pack").args(&number));
    for answer in producer.enqueue_many(requests.collect()).await.unwrap() {
        answer.unwrap();
    }
    let random = SeededRandom::new(seed);
    for death in 0..DEATHS {
        let settles = random.next_u64() % 6;
        let moment = match death {
            0 => Moment::Held(settles),
            1 => Moment::Settled(settles),
            2 => Moment::Rescued,
            3 => Moment::Released(settles),
            _ => Moment::Anytime,
        };
        let words = format!("{endpoint} {url} {}", moment.to_words());
        let mut child = child::start("kill::part_work", &folder.0, &words);
        if moment == Moment::Anytime {
            let alive = Duration::from_millis(20 + random.next_u64() % 400);
            tokio::time::sleep(alive).await;
            child.kill().unwrap();
        }
        // It may have had nothing left to settle.
        let _status = child.wait().unwrap();
    }
    let words = format!("{endpoint} {url} {}", Moment::Never.to_words());
    let status = child::start("kill::part_work", &folder.0, &words)
        .wait()
        .unwrap();
    assert!(status.success(), "seed {seed}: {status}");

    let clock = SystemClock::new();
    loop {
        assert!(telemetry.flush(PATIENCE).await, "seed {seed}");
        let problems = judge(&*store, &collector.spans()).await;
        if problems.is_empty() {
            break;
        }
        use longshore_core::Clock;
        assert!(
            clock.monotonic() < PATIENCE,
            "seed {seed}: {} problems, {:#?}",
            problems.len(),
            problems.get(..5).unwrap_or(&problems)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the traces of failed jobs lack, and what of the others left.
async fn judge(store: &dyn Store, spans: &[Span]) -> Vec<String> {
    let arrived = Arrived::new(spans);
    let all = JobFilter::default();
    let page = store.list(&all, None, JobPage::MAX_JOBS).await;
    let jobs = page.unwrap().jobs;
    assert_eq!(jobs.len() as u64, JOBS);
    let mut problems = Vec::new();
    for listed in jobs {
        let job = store.get(&listed.id).await.unwrap().unwrap();
        assert!(job.state.is_final(), "{job:?}");
        let failed = job.history.iter().any(|record| {
            use AttemptOutcome::{Discarded, Lost, Retried};
            matches!(record.outcome, Retried | Discarded | Lost)
        });
        let problem = match failed {
            true => arrived.missing(&job),
            false if arrived.jobs.contains(job.id.as_str()) => Some("it left".to_owned()),
            false => None,
        };
        problems.extend(problem.map(|problem| format!("job {}: {problem}", job.id)));
    }
    problems
}

type Id = (TraceId, SpanId);

/// The spans that arrived; what arrived more often counts once.
struct Arrived<'a> {
    by_id: HashMap<Id, &'a Span>,
    children: HashSet<(Id, &'a str)>,
    waits: HashMap<&'a str, usize>,
    jobs: HashSet<&'a str>,
}

impl<'a> Arrived<'a> {
    fn new(spans: &'a [Span]) -> Self {
        let mut arrived = Self {
            by_id: HashMap::new(),
            children: HashSet::new(),
            waits: HashMap::new(),
            jobs: HashSet::new(),
        };
        for span in spans {
            let id = (span.trace_id, span.span_id);
            if arrived.by_id.insert(id, span).is_some() {
                continue;
            }
            if let Some(parent) = span.parent_span_id {
                let name = span.name.as_ref();
                arrived.children.insert(((span.trace_id, parent), name));
            }
            let Some(AttributeValue::String(job)) = span.attribute(key::JOB_ID) else {
                continue;
            };
            // The span of an enqueue names its job whether or not that is kept.
            if span.name != name::ENQUEUE {
                arrived.jobs.insert(job);
            }
            if span.name == name::DEQUEUE {
                *arrived.waits.entry(job).or_default() += 1;
            }
        }
        arrived
    }

    fn missing(&self, job: &Job) -> Option<String> {
        let parent = job.trace.traceparent.as_deref().unwrap();
        let enqueue = SpanContext::from_traceparent(parent).unwrap();
        if !self
            .by_id
            .contains_key(&(enqueue.trace_id, enqueue.span_id))
        {
            return Some("no queue.enqueue".to_owned());
        }
        let waits = self.waits.get(job.id.as_str()).copied().unwrap_or(0);
        if waits != job.history.len() {
            return Some(format!("{waits} waits of {} attempts", job.history.len()));
        }
        job.history
            .iter()
            .find_map(|record| self.missing_of(record))
    }

    fn missing_of(&self, record: &AttemptRecord) -> Option<String> {
        let (Some(trace), Some(span)) = (record.trace_id, record.span_id) else {
            // Who rescued it knows its ids; the row does not.
            let lost = record.outcome == AttemptOutcome::Lost;
            return (!lost).then(|| format!("the row of claim {} has no ids", record.claim));
        };
        let Some(process) = self.by_id.get(&(trace, span)) else {
            return Some(format!("no span of claim {}: {record:?}", record.claim));
        };
        if process.attribute(key::REBUILT).is_some() {
            return None;
        }
        let lacks = |name: &&str| !self.children.contains(&((trace, span), *name));
        let missing = [name::HANDLER, name::SETTLE].into_iter().find(lacks);
        missing.map(|name| format!("no {name} of claim {}", record.claim))
    }
}
