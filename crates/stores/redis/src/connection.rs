//! The connection to the server that has the store: made when it is first needed, and again when
//! it broke. All calls share one, one after the other on the wire and none waiting for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::round_trip::{self, Answer, Request, Server, Target};
use longshore_core::{ErrorKind, StoreError, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::sync::RwLock;

use crate::answer::{self, tuple};
use crate::call::Call;
use crate::contract::{self, Effect, Function};
use crate::error::{
    answer_of, answer_of_store, from_redis, knows_no_functions, may_be_a_script,
    wants_other_connection,
};
use crate::library::LIBRARY;
use crate::micros;
use crate::options::{Durability, RedisOptions};
use crate::server::{self, Version};

/// The version of the layout of keys that this build knows.
pub(crate) const LAYOUT: u32 = 2;
/// Jobs that one call brings up to date: nobody else is served meanwhile.
const UPGRADED_AT_ONCE: usize = 500;

/// How the server is made to run the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Functions,
    Script,
}

impl Way {
    const fn command(self) -> &'static str {
        match self {
            Self::Functions => "FCALL",
            Self::Script => "EVALSHA",
        }
    }
}

/// A connection that was found good.
#[derive(Clone)]
struct Link {
    connection: MultiplexedConnection,
    way: Way,
    /// As which storage spans name it.
    server: Arc<Server>,
    /// Tells this connection from those before and after it.
    number: u64,
}

/// The connection that is there, and how the last one failed to be made.
#[derive(Default)]
struct Slot {
    link: Option<Link>,
    failure: Option<Failure>,
}

/// Why no connection could be made, for all who waited for it.
struct Failure {
    kind: ErrorKind,
    message: String,
    answer: Answer,
}

impl Failure {
    fn of(error: &StoreError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            answer: answer_of_store(error),
        }
    }
}

/// The way to the store.
pub(crate) struct Connection {
    pub(crate) options: RedisOptions,
    slot: RwLock<Slot>,
    made: AtomicU64,
    failed: AtomicU64,
}

impl Connection {
    pub(crate) fn new(options: RedisOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            slot: RwLock::default(),
            made: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Calls a function; gives back the store's time and the answer.
    pub(crate) async fn call(&self, call: &Call) -> Result<(Timestamp, Value), StoreError> {
        let link = self.link().await?;
        let answer = self.run(&link, call).await;
        if let Err(error) = &answer
            && wants_other_connection(error)
        {
            self.give_up(&link).await;
        }
        self.read(answer)
    }

    /// Sends a plain command to the server of the store.
    pub(crate) async fn ask(&self, command: &Cmd) -> Result<Value, StoreError> {
        let link = self.link().await?;
        self.send_to(&link, command).await
    }

    /// The same for looking at the server: a store that is not there is not made.
    pub(crate) async fn look(&self, command: &Cmd) -> Result<Value, StoreError> {
        let there = self.slot.read().await.link.clone();
        let link = match there {
            Some(link) => link,
            None => self.reach().await?,
        };
        self.send_to(&link, command).await
    }

    async fn send_to(&self, link: &Link, command: &Cmd) -> Result<Value, StoreError> {
        let answer = send(&link.connection, command).await;
        if let Err(error) = &answer
            && wants_other_connection(error)
        {
            self.give_up(link).await;
        }
        answer.map_err(|error| self.named(error))
    }

    fn named(&self, error: RedisError) -> StoreError {
        from_redis(&self.options.location(), error)
    }

    fn read(&self, answer: Result<Value, RedisError>) -> Result<(Timestamp, Value), StoreError> {
        let [now, answer] = tuple(answer.map_err(|error| self.named(error))?)?;
        Ok((answer::time(now)?, answer))
    }

    async fn give_up(&self, broken: &Link) {
        let mut slot = self.slot.write().await;
        let link = slot.link.as_ref();
        if link.is_some_and(|link| link.number == broken.number) {
            slot.link = None;
        }
    }

    /// The connection that is there, or a new one. Who comes while one is made waits for it, and fails
    /// with it: if each tried for itself, the last of many would wait for all the others.
    async fn link(&self) -> Result<Link, StoreError> {
        if let Ok(slot) = self.slot.try_read()
            && let Some(link) = &slot.link
        {
            return Ok(link.clone());
        }
        let seed = self.options.seeds.first();
        let server = Arc::new(seed.map_or_else(Server::default, server::named));
        let request = round_trip::begin(&server, "CONNECT", || Target::Nothing);
        let failed_before = self.failed.load(Ordering::Acquire);
        let mut slot = self.slot.write().await;
        if let Some(link) = &slot.link {
            request.into_next();
            return Ok(link.clone());
        }
        if self.failed.load(Ordering::Acquire) > failed_before
            && let Some(failure) = &slot.failure
        {
            request.end(failure.answer.clone());
            return Err(StoreError::new(failure.kind, failure.message.clone()));
        }
        // What is asked for on the way is no request of the call.
        let made = round_trip::unwatched(Box::pin(self.connect())).await;
        match &made {
            Ok(link) => {
                request.into_next();
                slot.link = Some(link.clone());
            }
            Err(error) => {
                let failure = Failure::of(error);
                request.end(failure.answer.clone());
                slot.failure = Some(failure);
                self.failed.fetch_add(1, Ordering::Release);
            }
        }
        made
    }

    async fn connect(&self) -> Result<Link, StoreError> {
        let link = self.reach().await?;
        self.open(link).await
    }

    /// A connection to a server that can have stores; nothing is asked of the store.
    async fn reach(&self) -> Result<Link, StoreError> {
        let server = server::find(&self.options).await?;
        let named = |error| self.named(error);
        let mut connection = server::connect(&self.options, &server)
            .await
            .map_err(named)?;
        let info: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await
            .map_err(named)?;
        let version = Version::of(&info);
        self.check(&version)?;
        let functions = self.options.functions && version.has_functions();
        Ok(Link {
            connection,
            way: if functions {
                Way::Functions
            } else {
                Way::Script
            },
            server: Arc::new(server::named(&server)),
            number: self.made.fetch_add(1, Ordering::Relaxed),
        })
    }

    fn check(&self, version: &Version) -> Result<(), StoreError> {
        let (product, number) = (version.product, &version.number);
        let location = self.options.location();
        let refuse = |problem| Err(StoreError::new(ErrorKind::Invalid, problem));
        if !version.is_supported() {
            return refuse(format!(
                "the Redis store {location} is on {product} {number}: it needs Redis 6.2 or later, or Valkey"
            ));
        }
        if self.options.durability == Durability::Aof && !version.waits_for_aof() {
            return refuse(format!(
                "the Redis store {location} is on {product} {number}, which cannot wait for its \
                 append-only file: `durability=aof` needs Redis 7.2 or Valkey"
            ));
        }
        Ok(())
    }

    /// Sees that the store there is one that this build knows.
    async fn open(&self, mut link: Link) -> Result<Link, StoreError> {
        let mut call = Call::new(&contract::OPEN);
        call.number(i64::from(LAYOUT));
        if link.way == Way::Functions {
            let load = redis::cmd("FUNCTION")
                .arg("LOAD")
                .arg("REPLACE")
                .arg(&LIBRARY.functions)
                .to_owned();
            let is_there =
                !matches!(self.once(&link, &call).await, Err(error) if knows_no_functions(&error));
            if !is_there && let Err(error) = send(&link.connection, &load).await {
                if !may_be_a_script(&error) {
                    return Err(self.named(error));
                }
                link.way = Way::Script;
            }
        }
        let answer = self.run(&link, &call).await;
        let [theirs, has_old_jobs] = tuple(self.read(answer)?.1)?;
        let theirs: u32 = answer::number(theirs)?;
        if theirs > LAYOUT {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!(
                    "the Redis store {} has layout {theirs}, and this program knows layouts up to \
                     {LAYOUT}: use a newer version of Longshore, or another prefix",
                    self.options.location()
                ),
            ));
        }
        if answer::number::<u8>(has_old_jobs)? == 1 {
            self.upgrade(&link).await?;
        }
        Ok(link)
    }

    /// Brings what an older version stored up to date. Several programs may be at it at once, and one
    /// that ends in between leaves the rest to the next.
    async fn upgrade(&self, link: &Link) -> Result<(), StoreError> {
        let mut call = Call::new(&contract::UPGRADE);
        call.count(UPGRADED_AT_ONCE);
        loop {
            let (_, more) = self.read(self.run(link, &call).await)?;
            if answer::number::<u8>(more)? == 0 {
                return Ok(());
            }
        }
    }

    /// Runs a call, with the functions loaded if they were not.
    async fn run(&self, link: &Link, call: &Call) -> Result<Value, RedisError> {
        match self.once(link, call).await {
            Err(error) if knows_no_functions(&error) => {
                self.load(link).await?;
                self.once(link, call).await
            }
            answer => answer,
        }
    }

    async fn load(&self, link: &Link) -> Result<(), RedisError> {
        let mut load = match link.way {
            Way::Functions => redis::cmd("FUNCTION"),
            Way::Script => redis::cmd("SCRIPT"),
        };
        match link.way {
            Way::Functions => load.arg("LOAD").arg("REPLACE").arg(&LIBRARY.functions),
            Way::Script => load.arg("LOAD").arg(&LIBRARY.script),
        };
        let request = round_trip::begin(&link.server, "LOAD", || Target::Nothing);
        end(request, send(&link.connection, &load).await).map(|_name| ())
    }

    async fn once(&self, link: &Link, call: &Call) -> Result<Value, RedisError> {
        let operation = link.way.command();
        let target = || Target::Procedure(call.function.name);
        let request = round_trip::begin(&link.server, operation, target).of(call.items);
        end(request, self.once_unnoted(link, call).await)
    }

    async fn once_unnoted(&self, link: &Link, call: &Call) -> Result<Value, RedisError> {
        let command = self.command(link.way, call);
        let Some(wait) = self.wait_for(call.function) else {
            return send(&link.connection, &command).await;
        };
        let mut connection = link.connection.clone();
        let mut both = Pipeline::with_capacity(2);
        both.add_command(command).add_command(wait);
        let mut answers = connection
            .send_packed_commands(&both, 0, 2)
            .await?
            .into_iter();
        let answer = sound(answers.next().unwrap_or_default())?;
        let waited = answers.next().unwrap_or_default();
        if has_arrived(&sound(waited)?) {
            return Ok(answer);
        }
        // The connection is in order.
        Err(RedisError::from((
            redis::ErrorKind::Client,
            "the write was done, but was not confirmed as durable in time",
            format!("durability={}", self.options.durability.as_str()),
        )))
    }

    fn command(&self, way: Way, call: &Call) -> Cmd {
        let mut command = redis::cmd(way.command());
        match way {
            Way::Functions => command.arg(LIBRARY.function_for(call.effect)),
            Way::Script => command.arg(&LIBRARY.hash),
        };
        let now = self.options.clock.as_ref().map(|clock| clock.now());
        command
            .arg(1)
            .arg(self.options.key_prefix())
            .arg(call.function.name)
            .arg(
                now.map(micros::of)
                    .map(|now| now.to_string())
                    .unwrap_or_default(),
            );
        for argument in &call.arguments {
            command.arg(&argument[..]);
        }
        command
    }

    /// What is to be waited for after a write.
    fn wait_for(&self, function: &Function) -> Option<Cmd> {
        // Who opens a store must be able to look at it, whatever becomes of its replicas.
        if function.effect == Effect::Reads || function.name == contract::OPEN.name {
            return None;
        }
        let millis = u64::try_from(self.options.response_timeout.as_millis() / 2).unwrap_or(0);
        match self.options.durability {
            Durability::Server => None,
            Durability::Aof => Some(redis::cmd("WAITAOF").arg(1).arg(0).arg(millis).to_owned()),
            Durability::Replica => Some(redis::cmd("WAIT").arg(1).arg(millis).to_owned()),
        }
    }
}

/// Ends a request with its answer.
fn end(request: Request, answer: Result<Value, RedisError>) -> Result<Value, RedisError> {
    request.end(answer.as_ref().err().map_or(Answer::Good, answer_of));
    answer
}

async fn send(connection: &MultiplexedConnection, command: &Cmd) -> Result<Value, RedisError> {
    let mut connection = connection.clone();
    sound(connection.send_packed_command(command).await?)
}

/// An answer that is no error: the client gives both as values.
fn sound(answer: Value) -> Result<Value, RedisError> {
    match answer {
        Value::ServerError(error) => Err(error.into()),
        answer => Ok(answer),
    }
}

/// Whether as many have a write as were asked for: one.
fn has_arrived(answer: &Value) -> bool {
    match answer {
        Value::Int(replicas) => *replicas >= 1,
        Value::Array(counts) => matches!(counts.first(), Some(Value::Int(synced)) if *synced >= 1),
        _ => false,
    }
}
