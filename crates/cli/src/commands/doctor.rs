//! `longshore doctor`: what usually goes wrong, checked.

use crate::args::Doctor;
use crate::exit::Exit;
use crate::session::Session;

pub(crate) async fn run(session: &Session<'_>, args: Doctor) -> anyhow::Result<Exit> {
    let _ = (session, args);
    Ok(Exit::Done)
}
