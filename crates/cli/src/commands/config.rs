//! `longshore config`: every setting, and where its value came from.

use crate::args::Config;
use crate::exit::Exit;
use crate::session::Session;

pub(crate) fn run(session: &Session<'_>, args: Config) -> anyhow::Result<Exit> {
    let _ = (session, args);
    Ok(Exit::Done)
}
