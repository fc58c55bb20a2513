//! `longshore kinds`: which kinds of jobs rest, and whether they do.

use longshore_core::Kind;
use longshore_core::limit::Scope;
use longshore_queue::{Admin, LimitControl, PauseNote};

use crate::args::limits::Kinds;
use crate::args::{ChangedNames, Paused};
use crate::exit::{Exit, refused};
use crate::record::limit::{KindJson, KindsJson};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

pub(crate) async fn run(session: &Session<'_>, words: Kinds) -> anyhow::Result<Exit> {
    match words {
        Kinds::List(plain) => list(session, plain.json).await,
        Kinds::Pause(Paused { what, reason }) => {
            let note = session.pause_note(reason.as_deref());
            set_paused(session, what, Some(&note)).await
        }
        Kinds::Resume(names) => set_paused(session, names, None).await,
    }
}

async fn list(session: &Session<'_>, json: bool) -> anyhow::Result<Exit> {
    let store = session.store()?;
    let limits = LimitControl::new(store.clone()).read().await?;
    let pauses = Admin::new(store.clone()).pauses().await?;
    let paused = limits.iter().filter(|(_, limit)| limit.paused);
    let kinds = paused.filter_map(|(scope, _)| match &scope {
        Scope::Kind(kind) => Some((kind.clone(), pauses.get(&scope).cloned())),
        Scope::Queue(_) | Scope::Tenant(_) | Scope::EveryTenant => None,
    });
    let kinds: Vec<_> = kinds.collect();
    if json {
        let kinds = kinds.iter();
        let kinds = kinds.map(|(kind, pause)| KindJson::of(kind, true, pause.as_ref()));
        session.output.json(&KindsJson {
            kinds: kinds.collect(),
        })?;
        return Ok(Exit::Done);
    }
    if kinds.is_empty() {
        session.output.talk("No kind is paused.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("KIND", Align::Left),
        ("PAUSED FOR", Align::Right),
        ("BY", Align::Left),
        ("REASON", Align::Left),
    ]);
    let now = store.now().await?;
    for (kind, pause) in &kinds {
        let pause = pause.as_ref();
        let since = pause.map(|pause| text::duration(now.since(pause.since)));
        let by = pause.and_then(|pause| pause.by.as_deref());
        let reason = pause.and_then(|pause| pause.reason.as_deref());
        table.row([
            kind.to_string(),
            since.unwrap_or_default(),
            text::tame(by.unwrap_or_default()),
            text::tame(reason.unwrap_or_default()),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    Ok(Exit::Done)
}

/// Pauses kinds if there is a note of it, else resumes them.
async fn set_paused(
    session: &Session<'_>,
    args: ChangedNames<Kind>,
    note: Option<&PauseNote>,
) -> anyhow::Result<Exit> {
    let control = session.desk(&args.caller)?.admin().limits();
    let kinds = args.which;
    for kind in &kinds.names {
        let done = match note {
            Some(note) => control.pause_kind_noted(kind.clone(), note).await,
            None => control.resume_kind(kind.clone()).await,
        };
        done.map_err(refused)?;
        if kinds.json {
            let json = KindJson::of(kind, note.is_some(), None);
            session.output.json(&json)?;
        } else {
            let state = if note.is_some() { "paused" } else { "resumed" };
            session.output.data(&format!("{kind} {state}"))?;
        }
    }
    Ok(Exit::Done)
}
