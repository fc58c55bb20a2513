//! `longshore store`: what is done to a whole store.

mod copy;

use crate::args::store::Store;
use crate::exit::Exit;
use crate::session::Session;

pub(crate) async fn run(session: &Session<'_>, args: Store) -> anyhow::Result<Exit> {
    match args {
        Store::Copy(args) => copy::run(session, args).await,
    }
}
