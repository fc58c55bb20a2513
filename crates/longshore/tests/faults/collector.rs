//! A collector that is not ours: [rotel](https://github.com/streamfold/rotel) takes what leaves and
//! passes it on. `.ci/run` installs it; `LONGSHORE_ROTEL` names it elsewhere.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use longshore_testkit::Port;
use longshore_testkit::collector::{Collector, Protocol};
use longshore_testkit::faulty_line::{Fault, FaultyLine};

use crate::bed::{Bed, Folder, Way, until};

const JOBS: u64 = 100;

/// A running collector. Dropping it ends it.
struct Rotel {
    child: Child,
    ports: [Port; 2],
    _folder: Folder,
}

impl Rotel {
    /// One that takes traces by HTTP and gRPC and passes them on.
    fn before(behind: &Collector) -> Option<Self> {
        let program = program()?;
        let folder = Folder::new();
        let ports = [(); 2].map(|()| Port::reserve().unwrap());
        let [http, grpc] = ports.each_ref().map(|port| port.address().to_string());
        let pid = folder.0.join("pid");
        let child = Command::new(program)
            .args(["start", "--pid-file", pid.to_str().unwrap()])
            .args(["--otlp-http-endpoint", &http])
            .args(["--otlp-grpc-endpoint", &grpc])
            .args(["--exporter", "otlp"])
            .args(["--otlp-exporter-endpoint", &behind.http_endpoint()])
            .args(["--otlp-exporter-protocol", "http"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self {
            child,
            ports,
            _folder: folder,
        })
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The program, if it is there. Without it the test says so and is skipped, but not in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("LONGSHORE_ROTEL").map(PathBuf::from);
    let there = named.filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have LONGSHORE_ROTEL");
    if there.is_none() {
        eprintln!("skipped: LONGSHORE_ROTEL does not name the program of the collector rotel");
    }
    there
}

/// Jobs run while the line to the collector is refused, then cut; all spans reach what lies behind
/// the collector.
#[tokio::test]
async fn a_collector_of_others_gets_every_span() {
    let collector = Collector::start().unwrap();
    let Some(rotel) = Rotel::before(&collector) else {
        return;
    };
    let [http, grpc] = rotel.ports.each_ref().map(Port::address);
    for (protocol, address) in [(Protocol::Http, http), (Protocol::Grpc, grpc)] {
        until(|| std::net::TcpStream::connect(address).is_ok()).await;
        collector.clear();
        let line = FaultyLine::to(address).unwrap();
        let bed = Bed::before(Way::of(protocol, true), |_, settings| {
            let own = settings.endpoint.url.split('/').nth(2).unwrap();
            settings.endpoint.url = settings
                .endpoint
                .url
                .replace(own, &line.address().to_string());
        });
        line.set(Fault::Refused);
        bed.run_jobs(JOBS).await;
        until(|| bed.failures() >= 2).await;
        line.set(Fault::Erratic { seed: 1 });
        bed.run_jobs(JOBS).await;
        line.set(Fault::None);
        let counters = bed.sent().await;
        assert_eq!(counters.dropped_total(), 0, "{counters:?}");
        let ids = || {
            let spans = collector.spans();
            let ids = spans.iter().map(|span| (span.trace_id, span.span_id));
            ids.collect::<std::collections::BTreeSet<_>>().len() as u64
        };
        until(|| ids() == counters.created).await;
    }
}
