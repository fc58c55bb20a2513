//! `longshore schedule`: jobs that are enqueued again and again.

use std::time::Duration;

use anyhow::Context as _;
use longshore_api::schedule::Schedule as Record;
use longshore_core::schedule::{InvalidCron, Schedule, Scheduled, Timetable, Zone};
use longshore_core::{Clock as _, Enqueued, ScheduleName, SystemClock, Timestamp};
use longshore_queue::{Producer, Put, Schedules};

use crate::args::schedule::{Add, Schedule as Words, Trigger};
use crate::args::{ChangedNames, Names};
use crate::exit::{Exit, Usage, refused};
use crate::output::{Output, Paint};
use crate::record;
use crate::record::schedule::{NamedScheduleJson, SchedulesJson};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// How late a firing must be for a person to hear of it.
const LATE: Duration = Duration::from_secs(10);

/// Most characters of a value on a line.
const VALUE: usize = 200;

pub(crate) async fn run(session: &Session<'_>, words: Words) -> anyhow::Result<Exit> {
    match words {
        Words::Add(args) => add(session, *args).await,
        Words::List(plain) => list(session, plain.json).await,
        Words::Show(named) => show(session, named).await,
        Words::Remove(named) => change(session, named, Change::Remove).await,
        Words::Pause(named) => change(session, named, Change::Pause).await,
        Words::Resume(named) => change(session, named, Change::Resume).await,
        Words::Trigger(args) => trigger(session, args).await,
    }
}

fn schedules(session: &Session<'_>) -> anyhow::Result<Schedules> {
    Ok(Schedules::new(Producer::new(session.store()?)))
}

async fn add(session: &Session<'_>, mut args: Add) -> anyhow::Result<Exit> {
    let (output, dry_run, json) = (session.output, args.dry_run, args.json);
    let caller = std::mem::take(&mut args.caller);
    let schedule = schedule(args)?;
    let name = schedule.name.clone();
    let (scheduled, done) = if dry_run {
        let added = Scheduled::new(schedule, SystemClock::new().now());
        (added, "would fire")
    } else {
        let schedules = session.desk(&caller)?.admin().schedules();
        let put = schedules.put(schedule).await.map_err(refused)?;
        let stored = schedules.get(&name).await?;
        let stored = stored.with_context(|| format!("the schedule {name} was removed at once"))?;
        let done = match put {
            Put::Added => "added",
            Put::Changed => "changed",
            Put::Unchanged => "unchanged",
        };
        (stored, done)
    };
    if json {
        output.json(&Record::of(&scheduled))?;
        return Ok(Exit::Done);
    }
    output.data(&format!("{name} {done}"))?;
    times(output, &scheduled)?;
    Ok(Exit::Done)
}

/// The schedule that the command line describes.
fn schedule(args: Add) -> Result<Schedule, Usage> {
    let timetable: Timetable = args.cron.parse().map_err(|wrong| pointed(&wrong))?;
    let zone: Zone = match args.zone.as_deref().map(str::parse) {
        Some(zone) => zone.map_err(|wrong| Usage(format!("--zone: {wrong}")))?,
        None => Zone::default(),
    };
    if let Some(body) = &args.args {
        serde_json::from_str::<serde::de::IgnoredAny>(body).map_err(|error| {
            Usage(format!(
                "the args are not JSON ({error}): quote them for the shell, such as '{{\"to\": \"ann\"}}'"
            ))
        })?;
    }
    let schedule = Schedule {
        zone,
        jitter: args.jitter.unwrap_or_default(),
        catch_up: args.catch_up,
        alone: args.alone,
        args: args.args.unwrap_or_else(|| "null".to_owned()),
        priority: args.job.priority.unwrap_or_default(),
        max_attempts: args.job.max_attempts,
        timeout: args.job.timeout,
        tags: args.job.tags,
        tenant_id: args.job.tenant,
        namespace: args.job.namespace,
        ..Schedule::new(args.name, timetable, args.queue, args.kind)
    };
    schedule
        .validate()
        .map_err(|wrong| Usage(wrong.to_string()))?;
    Ok(schedule)
}

/// What is wrong with a cron expression, and where.
fn pointed(wrong: &InvalidCron) -> Usage {
    let lines = wrong.pointed();
    let lines: Vec<String> = lines.lines().map(|line| format!("  {line}")).collect();
    Usage(format!("{wrong}\n{}", lines.join("\n")))
}

async fn list(session: &Session<'_>, json: bool) -> anyhow::Result<Exit> {
    let all = schedules(session)?.list().await?;
    if json {
        let schedules = all.iter().map(Record::of).collect();
        session.output.json(&SchedulesJson { schedules })?;
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        session
            .output
            .talk("There are no schedules: `longshore schedule add --help` says how to make one.");
        return Ok(Exit::Done);
    }
    let left = |name| (name, Align::Left);
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        left("NAME"),
        left("CRON"),
        left("NEXT"),
        left("QUEUE"),
        left("KIND"),
        left("ZONE"),
        left("LAST"),
        right("FIRED"),
        right("MISSED"),
        right("HELD"),
    ]);
    for scheduled in &all {
        let Scheduled { schedule, standing } = scheduled;
        let shown = |at: Timestamp| schedule.zone.show(at);
        let next = match (standing.paused, standing.next) {
            (true, _) => "paused".to_owned(),
            (false, next) => next.map_or_else(|| "never again".to_owned(), shown),
        };
        table.row([
            schedule.name.to_string(),
            schedule.timetable.to_string(),
            next,
            schedule.queue.to_string(),
            schedule.kind.to_string(),
            schedule.zone.to_string(),
            standing.last.map_or_else(String::new, shown),
            standing.fired.to_string(),
            standing.missed.to_string(),
            standing.held.to_string(),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    warn_of_late(session, &all).await?;
    Ok(Exit::Done)
}

/// Says if schedules should have fired by now.
async fn warn_of_late(session: &Session<'_>, all: &[Scheduled]) -> anyhow::Result<()> {
    let by = session.store()?.now().await?.before(LATE);
    let is_late = |one: &&Scheduled| one.due_at().is_some_and(|due_at| due_at < by);
    let late = all.iter().filter(is_late).count();
    if late > 0 {
        let late = text::counted(late, "schedule");
        session.output.warn(&format!(
            "{late} should have fired by now: no worker of this store runs"
        ));
    }
    Ok(())
}

async fn show(session: &Session<'_>, named: Names<ScheduleName>) -> anyhow::Result<Exit> {
    let schedules = schedules(session)?;
    let mut exit = Exit::Done;
    for (index, name) in named.names.iter().enumerate() {
        let Some(scheduled) = schedules.get(name).await? else {
            session.output.error(&absent(name));
            exit = Exit::Failed;
            continue;
        };
        if named.json {
            session.output.json(&Record::of(&scheduled))?;
            continue;
        }
        if index > 0 {
            session.output.data("")?;
        }
        life(session.output, &scheduled)?;
    }
    Ok(exit)
}

fn life(output: &Output, scheduled: &Scheduled) -> anyhow::Result<()> {
    let Scheduled { schedule, standing } = scheduled;
    let state = match standing.paused {
        true => output.paint(Paint::Yellow, " paused"),
        false => String::new(),
    };
    let name = output.paint(Paint::Bold, schedule.name.as_str());
    output.data(&format!("{name}{state}"))?;
    let counted = |count: u64, what: &str| {
        (count > 0).then(|| format!("{} {what}", text::counted(count, "time")))
    };
    let last = standing.last.map(|tick| {
        let (at, job) = (schedule.zone.show(tick), scheduled.job_id(tick));
        format!("{at}, job {job}")
    });
    let jitter = (!schedule.jitter.is_zero()).then(|| {
        let (most, offset) = (schedule.jitter, schedule.offset());
        let (most, offset) = (text::duration(most), text::duration(offset));
        format!("up to {most}; always {offset} later")
    });
    let facts = [
        ("cron", Some(schedule.timetable.to_string())),
        ("zone", Some(schedule.zone.to_string())),
        ("jitter", jitter),
        ("catch up", Some(schedule.catch_up.to_string())),
        ("alone", schedule.alone.then(|| "yes".to_owned())),
        ("queue", Some(schedule.queue.to_string())),
        ("kind", Some(schedule.kind.to_string())),
        ("args", Some(schedule.args.clone())),
        ("priority", Some(schedule.priority.to_string())),
        (
            "attempts",
            schedule.max_attempts.map(|most| most.to_string()),
        ),
        ("timeout", schedule.timeout.map(text::duration)),
        (
            "tags",
            (!schedule.tags.is_empty()).then(|| schedule.tags.join(" ")),
        ),
        ("tenant", schedule.tenant_id.clone()),
        ("namespace", schedule.namespace.clone()),
        ("last", last),
        ("fired", counted(standing.fired, "")),
        (
            "missed",
            counted(standing.missed, "without a worker in time"),
        ),
        (
            "held",
            counted(standing.held, "behind a job that was unfinished"),
        ),
    ];
    for (name, value) in facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        let name = output.paint(Paint::Dim, &format!("{name:<12}"));
        output.data(&format!("  {name} {}", text::one_line(&value, VALUE)))?;
    }
    times(output, scheduled)
}

/// The next times, on the clocks of its zone.
fn times(output: &Output, scheduled: &Scheduled) -> anyhow::Result<()> {
    for tick in scheduled.upcoming(Record::UPCOMING) {
        let name = output.paint(Paint::Dim, &format!("{:<12}", "next"));
        output.data(&format!("  {name} {}", scheduled.schedule.zone.show(tick)))?;
    }
    Ok(())
}

fn absent(name: &ScheduleName) -> String {
    format!("there is no schedule {name}; `longshore schedule list` names all")
}

/// What a person may do to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Remove,
    Pause,
    Resume,
}

async fn change(
    session: &Session<'_>,
    args: ChangedNames<ScheduleName>,
    change: Change,
) -> anyhow::Result<Exit> {
    let schedules = session.desk(&args.caller)?.admin().schedules();
    let named = args.which;
    let mut exit = Exit::Done;
    for name in &named.names {
        let (there, done) = match change {
            Change::Remove => (schedules.remove(name).await?, "removed"),
            Change::Pause => (schedules.pause(name).await?, "paused"),
            Change::Resume => (schedules.resume(name).await?, "goes on"),
        };
        let error = (!there).then(|| absent(name));
        exit = if there { exit } else { Exit::Failed };
        match error {
            error if named.json => session.output.json(&NamedScheduleJson {
                name: name.as_str(),
                error,
            })?,
            Some(error) => session.output.error(&error),
            None => session.output.data(&format!("{name} {done}"))?,
        }
    }
    Ok(exit)
}

async fn trigger(session: &Session<'_>, args: Trigger) -> anyhow::Result<Exit> {
    let desk = session.desk(&args.caller)?;
    let schedules = desk.admin().schedules();
    if schedules.get(&args.name).await?.is_none() {
        anyhow::bail!(absent(&args.name));
    }
    let called = |request| desk.caller().makes(request);
    let enqueued = schedules.trigger_with(&args.name, called).await?;
    if args.json {
        let job = session.store()?.get(enqueued.id()).await?;
        let job = job.context("the job was pruned before it could be shown")?;
        session
            .output
            .json(&record::job(&job, session.redactor()?))?;
    } else {
        session.output.data(enqueued.id().as_str())?;
    }
    if let Enqueued::Hit { id, .. } = &enqueued {
        let name = &args.name;
        session.output.talk(&format!(
            "The jobs of {name} run alone, and {id} is unfinished; nothing was stored."
        ));
    }
    Ok(Exit::Done)
}
