//! PgBouncer in between.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use longshore_core::{Clock, Random, Store};
use longshore_memory::MemoryStore;
use longshore_postgres::{Pooler, PostgresStore};
use longshore_testkit::Port;

use crate::server::{self, Server, as_user};

/// A pooler that runs. It goes when this is dropped.
#[derive(Debug)]
struct Bouncer {
    child: Child,
    folder: PathBuf,
    port: Port,
}

impl Bouncer {
    /// Starts it; `None` where there is no PgBouncer; then it is said.
    #[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
    fn before(server: &Server, mode: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let program = program
            .into_iter()
            .find(|path| fs::exists(path).unwrap_or(false));
        let Some(program) = program else {
            let ci = std::env::var_os("LONGSHORE_CI").is_some();
            assert!(!ci, "CI must have pgbouncer");
            eprintln!("skipped: there is no pgbouncer on this machine");
            return None;
        };
        let folder = server::scratch("pgbouncer");
        fs::create_dir_all(&folder).unwrap();
        let port = Port::reserve().unwrap();
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = 2\n",
            server.port,
            port.number()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let mut command = as_user(Command::new(program));
        command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        while TcpStream::connect(port.address()).is_err() {
            std::thread::yield_now();
        }
        Some(Self {
            child,
            folder,
            port,
        })
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

async fn reference(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

#[test]
fn the_store_equals_the_reference_through_a_pooler() {
    let Some(server) = server::shared() else {
        return;
    };
    let Some(bouncer) = Bouncer::before(server, "transaction") else {
        return;
    };
    let url = server::url(bouncer.port.number());
    let fresh = async |clock: Arc<dyn Clock>, random: Arc<dyn Random>| {
        let options = server::options(&url).with_clock(clock).with_random(random);
        let options = options.with_pooler(Pooler::Transaction).with_connections(4);
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(options).unwrap());
        store
    };
    longshore_testkit::model::check(6, 2, reference, fresh);
}

/// Nothing has to be said for it, neither here nor in the pooler's settings.
#[tokio::test]
async fn a_pooler_that_keeps_a_connection_for_ours_needs_no_setting() {
    let Some(server) = server::shared() else {
        return;
    };
    let Some(bouncer) = Bouncer::before(server, "session") else {
        return;
    };
    let options = server::options(&server::url(bouncer.port.number())).with_connections(1);
    let store = PostgresStore::open(options).unwrap();
    crate::support::enqueue(&store, 3).await;
    let lease = std::time::Duration::from_secs(60);
    let claimed = crate::support::claim(&store, 3, lease).await.unwrap();
    assert_eq!(claimed.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_share_two_connections() {
    let Some(server) = server::shared() else {
        return;
    };
    let Some(bouncer) = Bouncer::before(server, "transaction") else {
        return;
    };
    let options = server::options(&server::url(bouncer.port.number()));
    let options = options.with_pooler(Pooler::Transaction).with_connections(8);
    let store = PostgresStore::open(options).unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0;
                for _ in 0..10 {
                    crate::support::enqueue(&store, 3).await;
                    let lease = std::time::Duration::from_secs(60);
                    let claimed = crate::support::claim(&store, 3, lease).await.unwrap();
                    let ends = claimed.iter().map(crate::support::complete).collect();
                    let settled = store.settle(ends).await.unwrap();
                    done += settled.into_iter().flatten().count();
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    let stats = store.queue_stats().await.unwrap().remove(0);
    assert_eq!(stats.completed, done as u64);
    assert_eq!(stats.completed + stats.available, 240);
}
