//! Ports for servers that tests start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of the loopback interface that the system gives to nobody else while this is there.
///
/// A server that is told to listen there can, since servers ask to use an address again; until
/// then, and after it, connections are refused. A port that was merely free a moment ago may go
/// to another test before the server has it.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// let port = longshore_testkit::Port::reserve()?;
/// assert!(TcpStream::connect(port.address()).is_err());
/// let server = TcpListener::bind(port.address())?;
/// assert!(TcpStream::connect(port.address()).is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Port {
    /// Bound, and never listens.
    _socket: TcpSocket,
    number: u16,
}

impl Port {
    /// A port that nobody has.
    ///
    /// # Errors
    /// If there is none.
    pub fn reserve() -> io::Result<Self> {
        Self::of(0)
    }

    /// The port of this number, if nobody has it.
    ///
    /// # Errors
    /// If somebody has.
    pub fn of(number: u16) -> io::Result<Self> {
        let socket = bound((Ipv4Addr::LOCALHOST, number).into())?;
        let number = socket.local_addr()?.port();
        Ok(Self {
            _socket: socket,
            number,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Where a server on it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// A socket at an address, which others can have too who listen there.
pub(crate) fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_is_reserved_is_nobody_elses() {
        let ports: Vec<Port> = (0..200).map(|_| Port::reserve().unwrap()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        let free = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let others: Vec<TcpListener> = (0..200).map(free).collect();
        for other in others {
            assert!(!numbers.contains(&other.local_addr().unwrap().port()));
        }
    }

    #[test]
    fn a_server_can_listen_there_again_and_again() {
        let port = Port::reserve().unwrap();
        for _ in 0..3 {
            let server = TcpListener::bind(port.address()).unwrap();
            assert!(TcpListener::bind(port.address()).is_err());
            drop(server);
        }
    }
}
