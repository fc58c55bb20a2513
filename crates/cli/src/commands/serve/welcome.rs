//! The first words of a daemon: where it answers, and what to do there.

use std::net::SocketAddr;

use serde::Serialize;

use super::Doors;
use super::plan::Plan;
use crate::session::Session;

/// What a person or a program has to know.
#[derive(Debug, Serialize)]
pub(super) struct Welcome {
    /// Where the daemon answers.
    url: String,
    /// Where it takes spans.
    otlp_grpc: Option<String>,
    otlp_http: Option<String>,
    /// Whether a token is asked for.
    token: bool,
    #[serde(skip)]
    workers: Vec<String>,
    #[serde(skip)]
    token_travels_openly: bool,
}

impl Welcome {
    pub(super) fn new(plan: &Plan, doors: &Doors) -> anyhow::Result<Self> {
        let scheme = if plan.tls.is_some() { "https" } else { "http" };
        let main = doors.main.local_addr()?;
        let otlp = |place: Option<usize>| {
            let listener = place.and_then(|place| doors.otlp.get(place));
            let address = listener.and_then(|listener| listener.local_addr().ok());
            address.map(|address| format!("{scheme}://{}", reachable(address)))
        };
        Ok(Self {
            url: format!("{scheme}://{}", reachable(main)),
            otlp_grpc: otlp(doors.grpc),
            otlp_http: otlp(doors.http),
            token: plan.access.asks_for_token(),
            workers: plan.workers.iter().map(described).collect(),
            token_travels_openly: doors
                .addresses()
                .any(|address| plan.token_travels_openly(address)),
        })
    }

    /// Says it: to programs one line of JSON, to people in words.
    pub(super) fn say(&self, session: &Session<'_>, json: bool) -> anyhow::Result<()> {
        if json {
            session.output.json(self)?;
        }
        for line in self.lines() {
            session.output.talk(&line);
        }
        if self.token_travels_openly {
            session.output.warn(
                "tokens and jobs travel unencrypted: set --tls-certificate and --tls-key, or put a \
                 proxy that speaks TLS in front",
            );
        }
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        let url = &self.url;
        let token = match self.token {
            true => " -H \"authorization: Bearer $LONGSHORE_SERVE_TOKEN\"",
            false => "",
        };
        let shown = match self.token {
            true => "LONGSHORE_TOKEN=$LONGSHORE_SERVE_TOKEN ",
            false => "",
        };
        let mut lines = vec![
            format!("Longshore answers at {url}; its API is described at {url}/api/openapi.json."),
            format!("  look at jobs   curl{token} {url}/api/v1/jobs"),
            format!(
                "  enqueue one    curl{token} {url}/api/v1/jobs --json \
                 '{{\"queue\":\"mail\",\"kind\":\"welcome\",\"args\":{{\"to\":\"ann\"}}}}'"
            ),
            format!("  watch it all   {shown}longshore tui --connect {url}"),
        ];
        let taken = [("gRPC", &self.otlp_grpc), ("HTTP", &self.otlp_http)];
        let taken = taken
            .into_iter()
            .filter_map(|(protocol, at)| Some((protocol, at.as_ref()?)));
        let taken: Vec<String> = taken
            .map(|(protocol, at)| format!("{protocol} at {at}"))
            .collect();
        if !taken.is_empty() {
            lines.push(format!(
                "It takes spans of other programs by OTLP: {}.",
                taken.join(", ")
            ));
        }
        lines.push(match self.workers.is_empty() {
            true => "No worker runs here: jobs wait for `longshore worker`, or for [[serve.workers]] in \
                     longshore.toml."
                .to_owned(),
            false => format!("Workers here: {}.", self.workers.join("; ")),
        });
        lines.push("Ctrl+C stops it.".to_owned());
        lines
    }
}

/// An address as one on this machine types it.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(at) if at.ip().is_unspecified() => ([127, 0, 0, 1], at.port()).into(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, at.port()).into()
        }
        address => address,
    }
}

fn described(worker: &crate::args::Worker) -> String {
    let queues: Vec<&str> = worker.queues.iter().map(|queue| queue.as_str()).collect();
    let exec = crate::text::tame_lines(&worker.exec);
    format!("{} by `{exec}`", queues.join(", "))
}
