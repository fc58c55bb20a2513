//! A PostgreSQL of our own.

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pg.sh");

/// A running server, which ends and leaves nothing when it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// Whether PostgreSQL is installed here.
    pub fn is_there() -> bool {
        let found = "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb";
        let output = Command::new("sh").args(["-c", found]).output();
        output.is_ok_and(|output| output.status.success())
    }

    pub fn start() -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let name = format!("longshore-pgmq-{}-{port}", std::process::id());
        let server = Self {
            folder: std::env::temp_dir().join(name),
            port,
        };
        let mut start = Command::new(SCRIPT);
        start.arg("start").arg(&server.folder).arg(port.to_string());
        match start.status()?.success() {
            true => Ok(server),
            false => Err("PostgreSQL did not start".into()),
        }
    }

    pub fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = Command::new(SCRIPT).arg("stop").arg(&self.folder).status();
    }
}
