//! What the words and the settings ask a daemon to be.

use std::net::SocketAddr;
use std::path::Path;

use longshore_daemon::Access;
use longshore_daemon::serve::Tls;
use longshore_telemetry::Config;
use longshore_telemetry::config::ServeWorker;

use crate::args::{self, serve::Serve};
use crate::exit::Usage;

/// What stands for no address.
const OFF: &str = "off";

/// A daemon as it is asked for; a flag wins.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) listen: String,
    pub(super) otlp_grpc: Option<String>,
    pub(super) otlp_http: Option<String>,
    pub(super) syncs_always: bool,
    pub(super) access: Access,
    pub(super) tls: Option<Tls>,
    pub(super) workers: Vec<args::Worker>,
}

impl Plan {
    pub(super) fn new(config: &Config, args: &Serve) -> anyhow::Result<Self> {
        let told = |flag: &Option<String>, key| match flag {
            Some(told) => told.clone(),
            None => config.text(key).to_owned(),
        };
        let otlp = |flag, key| {
            let told = told(flag, key);
            let takes = !args.no_otlp && config.flag("serve.otlp") && told != OFF;
            takes.then_some(told)
        };
        let workers = config.serve_workers();
        Ok(Self {
            listen: told(&args.listen, "serve.listen"),
            otlp_grpc: otlp(&args.otlp_grpc, "serve.otlp_grpc"),
            otlp_http: otlp(&args.otlp_http, "serve.otlp_http"),
            syncs_always: config.text("serve.otlp_sync") == "always",
            access: access(config)?,
            tls: tls(config, args)?,
            workers: workers.into_iter().map(worker).collect(),
        })
    }

    pub(super) const fn takes_otlp(&self) -> bool {
        self.otlp_grpc.is_some() || self.otlp_http.is_some()
    }

    /// Whether it may listen there: whoever can be asked by others wants a token.
    pub(super) fn check(&self, flag: &str, address: SocketAddr) -> Result<(), Usage> {
        if address.ip().to_canonical().is_loopback() || self.access.asks_for_token() {
            return Ok(());
        }
        Err(Usage(format!(
            "{flag} {address}: others than this machine could read and change all jobs there, since \
             no token is asked for. Set LONGSHORE_SERVE_TOKEN to one, such as what `openssl rand \
             -hex 32` prints, or listen at 127.0.0.1"
        )))
    }

    /// Whether others could read the token on its way.
    pub(super) fn token_travels_openly(&self, address: SocketAddr) -> bool {
        !address.ip().to_canonical().is_loopback() && self.tls.is_none()
    }
}

fn access(config: &Config) -> Result<Access, Usage> {
    let key = |name| Some(config.text(name)).filter(|token| !token.is_empty());
    match (key("serve.token"), key("serve.read_token")) {
        (None, None) => Ok(Access::this_machine()),
        (None, Some(_)) => Err(Usage(
            "serve.read_token (LONGSHORE_SERVE_READ_TOKEN) is set and serve.token \
             (LONGSHORE_SERVE_TOKEN) is not: nobody could change anything; set both"
                .to_owned(),
        )),
        (Some(write), read) => Access::by_token(write, read).map_err(|error| {
            Usage(format!(
                "serve.token or serve.read_token (LONGSHORE_SERVE_TOKEN, LONGSHORE_SERVE_READ_TOKEN): {error}"
            ))
        }),
    }
}

fn tls(config: &Config, args: &Serve) -> Result<Option<Tls>, Usage> {
    let file = |flag: &Option<std::path::PathBuf>, key| {
        let configured = config.text(key);
        let configured = (!configured.is_empty()).then(|| Path::new(configured).to_owned());
        flag.clone().or(configured)
    };
    let certificate = file(&args.tls_certificate, "serve.tls_certificate");
    let key = file(&args.tls_key, "serve.tls_key");
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Tls::from_files(&certificate, &key)
            .map(Some)
            .map_err(|error| Usage(format!("--tls-certificate, --tls-key: {error}"))),
        (Some(_), None) => Err(Usage("--tls-certificate needs --tls-key".to_owned())),
        (None, Some(_)) => Err(Usage("--tls-key needs --tls-certificate".to_owned())),
    }
}

/// A worker of the settings as one of the command line.
fn worker(worker: ServeWorker) -> args::Worker {
    args::Worker {
        queues: worker.queues,
        concurrency: worker.concurrency,
        lease: worker.lease,
        timeout: worker.timeout,
        metrics: None,
        drain: false,
        exec: worker.exec,
        json: false,
    }
}
