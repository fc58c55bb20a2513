//! The jobs and traces that a verb looks at: of this machine, or of a daemon.

use std::sync::Arc;

use longshore_api::{Backend, ClientOptions, HttpClient};
use longshore_daemon::{LocalBackend, LocalOptions};
use longshore_tracestore::{TraceStore, TraceStoreOptions};

use crate::args::traces::ViewWords;
use crate::exit::Usage;
use crate::session::Session;
use crate::upkeep;

/// What a view is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To look: nothing is changed, and nothing about it is traced.
    Look,
    /// To change jobs, queues and schedules too, with a span of what was done.
    Change,
}

/// Opens what the words name: a daemon if they name one, else the store and traces of this machine.
///
/// # Errors
/// The address is none, the settings cannot be used, or the store cannot be opened.
pub(crate) fn open(
    session: &Session<'_>,
    words: &ViewWords,
    purpose: Purpose,
) -> anyhow::Result<Arc<dyn Backend>> {
    match &words.connect {
        Some(url) => Ok(Arc::new(remote(session, url, words)?)),
        None => Ok(Arc::new(local(session, purpose, words.all_stores)?)),
    }
}

/// The daemon at an address.
fn remote(session: &Session<'_>, url: &str, words: &ViewWords) -> anyhow::Result<HttpClient> {
    let options = ClientOptions {
        all_stores: words.all_stores,
        ..ClientOptions::default()
    };
    let token = words.token.as_deref();
    let token = token.or_else(|| session.environment().get("LONGSHORE_TOKEN"));
    HttpClient::new(url, token, options)
        .map_err(|error| Usage(format!("--connect: {error}")).into())
}

/// The store of this machine, and the traces in its span log.
///
/// # Errors
/// The settings cannot be used, or the store or the folder of traces cannot be opened.
pub(crate) fn local(
    session: &Session<'_>,
    purpose: Purpose,
    all_stores: bool,
) -> anyhow::Result<LocalBackend> {
    let traces = session
        .span_log()?
        .map(|log| TraceStore::open(TraceStoreOptions::new(log.folder)));
    let options = LocalOptions {
        recorder: match purpose {
            Purpose::Look => None,
            Purpose::Change => session.recorder()?,
        },
        redactor: session.new_redactor()?,
        traces: traces.transpose()?.map(Arc::new),
        store_name: match all_stores {
            true => None,
            false => session.store_name()?,
        },
        trace_url: session.trace_url()?,
        archive: upkeep::archive_url(session),
        may_change: purpose == Purpose::Change,
        ..LocalOptions::default()
    };
    Ok(LocalBackend::new(session.store()?, options))
}

/// The jobs of this machine's store, without traces.
///
/// # Errors
/// The settings cannot be used, or the store cannot be opened.
pub(crate) fn of_store(session: &Session<'_>) -> anyhow::Result<LocalBackend> {
    let options = LocalOptions {
        redactor: session.new_redactor()?,
        may_change: false,
        ..LocalOptions::default()
    };
    Ok(LocalBackend::new(session.store()?, options))
}
