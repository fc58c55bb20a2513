//! `longshore limits`: how many jobs run, start and wait.

use longshore_core::limit::{Limit, Rate, Scope};
use longshore_core::{ErrorKind, StoreError};
use longshore_queue::{LimitControl, LimitUse};

use crate::args::CallerWords;
use crate::args::limits::{Limits, Remove, Set, Which};
use crate::exit::{Exit, Usage, refused};
use crate::record::limit::{LimitJson, LimitsJson};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// Most tenants that a table shows.
const MOST_TENANTS: usize = 50;

pub(crate) async fn run(session: &Session<'_>, words: Limits) -> anyhow::Result<Exit> {
    match words {
        Limits::Set(args) => set(session, args).await,
        Limits::Remove(args) => remove(session, args).await,
        Limits::List(plain) => list(session, plain.json).await,
    }
}

/// The control on behalf of whoever calls.
fn changing(session: &Session<'_>, caller: &CallerWords) -> anyhow::Result<LimitControl> {
    Ok(session.desk(caller)?.admin().limits())
}

/// The control to look at limits with.
fn control(session: &Session<'_>) -> anyhow::Result<LimitControl> {
    Ok(LimitControl::new(session.store()?))
}

async fn set(session: &Session<'_>, args: Set) -> anyhow::Result<Exit> {
    let changes = args.concurrency.is_some()
        || args.rate.is_some()
        || args.burst.is_some()
        || args.length.is_some()
        || args.enqueue_rate.is_some()
        || args.fair.is_some();
    if !changes {
        let wanted =
            "say what to limit, such as --concurrency 5: see `longshore limits set --help`";
        return Err(Usage(wanted.to_owned()).into());
    }
    let scope = &args.scope;
    let limit = changing(session, &args.caller)?
        .change(|limits| {
            let limit = limits.get(scope).cloned().unwrap_or_default();
            let limit = changed(limit, &args)?;
            limits.set(scope.clone(), limit.clone())?;
            Ok(limit)
        })
        .await
        .map_err(refused)?;
    tell(session, scope, &limit, args.json)
}

/// A limit with what the command line names changed.
fn changed(limit: Limit, args: &Set) -> Result<Limit, StoreError> {
    let invalid = |text: String| StoreError::new(ErrorKind::Invalid, text);
    let burst = |rate: Rate, burst: Option<u32>| match burst {
        None => Ok(rate),
        Some(burst) => rate
            .with_burst(burst)
            .map_err(|error| invalid(error.to_string())),
    };
    let rate = match (args.rate.or(limit.rate), args.burst) {
        (None, Some(_)) => return Err(invalid("--burst needs a --rate".to_owned())),
        (None, None) => None,
        (Some(rate), with) => Some(burst(rate, with)?),
    };
    let enqueue_rate = match args.enqueue_rate {
        None => limit.enqueue_rate,
        Some(rate) => Some(burst(rate, args.enqueue_burst)?),
    };
    Ok(Limit {
        concurrency: args.concurrency.or(limit.concurrency),
        rate,
        length: args.length.or(limit.length),
        enqueue_rate,
        fair: args.fair.unwrap_or(limit.fair),
        ..limit
    })
}

async fn remove(session: &Session<'_>, args: Remove) -> anyhow::Result<Exit> {
    let scope = &args.scope;
    let (before, after) = changing(session, &args.caller)?
        .change(|limits| {
            let before = limits.get(scope).cloned().unwrap_or_default();
            let after = without(before.clone(), &args.which);
            limits.set(scope.clone(), after.clone())?;
            Ok((before, after))
        })
        .await
        .map_err(refused)?;
    if before == after {
        let missing = "has no such limit; `longshore limits list` shows all there are";
        session.output.talk(&format!("{scope} {missing}."));
    }
    tell(session, scope, &after, args.json)
}

fn without(limit: Limit, which: &[Which]) -> Limit {
    if which.is_empty() {
        let paused = limit.paused;
        return Limit {
            paused,
            ..Limit::default()
        };
    }
    which.iter().fold(limit, |limit, which| match which {
        Which::Concurrency => Limit {
            concurrency: None,
            ..limit
        },
        Which::Rate => Limit {
            rate: None,
            ..limit
        },
        Which::Length => Limit {
            length: None,
            ..limit
        },
        Which::EnqueueRate => Limit {
            enqueue_rate: None,
            ..limit
        },
        Which::Fair => Limit {
            fair: false,
            ..limit
        },
    })
}

fn tell(session: &Session<'_>, scope: &Scope, limit: &Limit, json: bool) -> anyhow::Result<Exit> {
    if json {
        session.output.json(&LimitJson::of(scope, limit, None))?;
        return Ok(Exit::Done);
    }
    let scope = text::tame(&scope.to_string());
    let line = match limit.words() {
        words if words.is_empty() => format!("{scope} is not limited"),
        words => format!("{scope}: {}", words.join(", ")),
    };
    session.output.data(&line)?;
    Ok(Exit::Done)
}

async fn list(session: &Session<'_>, json: bool) -> anyhow::Result<Exit> {
    let control = control(session)?;
    let limits = control.read().await?;
    let uses = control.in_use().await?;
    let of = |scope: &Scope| uses.iter().find(|one| one.scope == *scope);
    let is_plain = |one: &&LimitUse| limits.get(&one.scope).is_none();
    let tenants: Vec<&LimitUse> = uses.iter().filter(is_plain).collect();
    if json {
        let one = |(scope, limit): (Scope, &Limit)| LimitJson::of(&scope, limit, of(&scope));
        session.output.json(&LimitsJson {
            limits: limits.iter().map(one).collect(),
            tenants: tenants
                .iter()
                .map(|one| LimitJson::of(&one.scope, &one.limit, Some(one)))
                .collect(),
        })?;
        return Ok(Exit::Done);
    }
    if limits.is_empty() {
        let hint = "Nothing is limited: `longshore limits set --help` says how to.";
        session.output.talk(hint);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("SCOPE", Align::Left),
        ("LIMITS", Align::Left),
        ("HELD", Align::Right),
        ("WORKERS", Align::Right),
    ]);
    let mut row = |scope: &Scope, limit: &Limit, held: Option<&LimitUse>| {
        let held = held.filter(|_| limit.concurrency.is_some());
        table.row([
            text::one_line(&scope.to_string(), 60),
            limit.words().join(", "),
            held.map_or_else(String::new, |held| held.permits.to_string()),
            held.map_or_else(String::new, |held| held.holders.to_string()),
        ]);
    };
    for (scope, limit) in limits.iter() {
        row(&scope, limit, of(&scope));
    }
    for one in tenants.iter().take(MOST_TENANTS) {
        row(&one.scope, &one.limit, Some(one));
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    if let Some(more) = tenants.len().checked_sub(MOST_TENANTS + 1) {
        let more = text::counted(more + 1, "more tenant");
        session.output.talk(&format!("{more}: --json shows all."));
    }
    Ok(Exit::Done)
}
