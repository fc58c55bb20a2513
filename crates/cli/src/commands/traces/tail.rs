//! `longshore traces tail`.

use std::time::Duration;

use longshore_api::trace::TracesQuery;

use super::list::read_to_its_end;
use super::{line, search};
use crate::args::traces::{Format, Tail};
use crate::exit::Exit;
use crate::session::Session;
use crate::view::{self, Purpose};

/// How often traces are looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Most traces that are printed of one look.
const MOST: usize = 1000;

pub(super) async fn run(session: &Session<'_>, args: Tail) -> anyhow::Result<Exit> {
    let view = view::open(session, &args.view, Purpose::Look)?;
    let mut query = TracesQuery {
        search: search(&args.search),
        limit: Some(1),
        ..TracesQuery::default()
    };
    // What is there already is not printed: what changes from now on is.
    let there = read_to_its_end(session, view.as_ref(), &query).await?;
    session.output.end_progress();
    query.changed_since = Some(there.as_of);
    query.limit = Some(MOST);
    if session.output.shows_progress() {
        session.output.talk("Waiting for traces. Ctrl+C ends this.");
    }
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let next = async {
            tokio::time::sleep(EVERY).await;
            view.traces(&query).await
        };
        let page = tokio::select! {
            page = next => page?,
            stopped = &mut stopped => {
                stopped?;
                return Ok(Exit::Done);
            }
        };
        for trace in page.traces.iter().rev() {
            match args.format {
                Format::Human => session.output.data(&line(session.output, trace))?,
                Format::Json => session.output.json(trace)?,
            }
        }
        query.changed_since = Some(page.as_of);
        if session.output.is_closed() {
            return Ok(Exit::Done);
        }
    }
}
