//! Where a command listens: `HOST:PORT`, or a port alone.

use std::io;

use tokio::net::TcpListener;

use crate::exit::Usage;

/// Listens at `HOST:PORT`, or at this port of the loopback device. `flag` is how a person says
/// where, `example` a port to use.
///
/// # Errors
/// The address is none, or cannot be had.
pub(crate) async fn listen(flag: &str, address: &str, example: u16) -> anyhow::Result<TcpListener> {
    let is_port = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit());
    let address = match is_port {
        // Nobody but this machine, unless told otherwise.
        true => format!("127.0.0.1:{address}"),
        false => address.to_owned(),
    };
    let bound = TcpListener::bind(&address).await;
    bound.map_err(|error| refused(flag, &address, example, &error))
}

fn refused(flag: &str, address: &str, example: u16, error: &io::Error) -> anyhow::Error {
    let wrong = |what: String| Usage(format!("{flag} {address}: {what}")).into();
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{flag} {address}: another process listens there: stop it, or choose another port"
        ),
        io::ErrorKind::PermissionDenied => anyhow::anyhow!(
            "{flag} {address}: this user may not listen there: choose a port above 1023"
        ),
        io::ErrorKind::AddrNotAvailable => anyhow::anyhow!(
            "{flag} {address}: this machine does not have that address: use one of its own, or \
             0.0.0.0 for all of them"
        ),
        io::ErrorKind::InvalidInput => wrong(format!(
            "this is no address: use HOST:PORT, such as 127.0.0.1:{example}, or a port alone"
        )),
        _ => wrong(format!("cannot listen there: {error}")),
    }
}
