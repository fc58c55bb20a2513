//! The words of `serve`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// `serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is answered, who is, and how workers are run within: `longshore docs serve`. Tokens \
    come from LONGSHORE_SERVE_TOKEN or the configuration file, since everybody on a machine can see \
    the words of a command.\n\n\
    Examples:\n  \
    longshore serve\n  \
    longshore serve --listen 7000 --no-otlp\n  \
    longshore serve --listen 0.0.0.0:7350 --tls-certificate server.pem --tls-key server.key"
)]
pub(crate) struct Serve {
    /// Answers here: HOST:PORT, or a port of this machine's loopback device; elsewhere a token is
    /// needed [env: LONGSHORE_SERVE_LISTEN] [default: 127.0.0.1:7350].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Takes spans of other programs by OTLP over gRPC here [env: LONGSHORE_SERVE_OTLP_GRPC]
    /// [default: 127.0.0.1:4317].
    #[arg(long, value_name = "ADDR|off", conflicts_with = "no_otlp")]
    pub(crate) otlp_grpc: Option<String>,
    /// Takes spans of other programs by OTLP over HTTP here [env: LONGSHORE_SERVE_OTLP_HTTP]
    /// [default: 127.0.0.1:4318].
    #[arg(long, value_name = "ADDR|off", conflicts_with = "no_otlp")]
    pub(crate) otlp_http: Option<String>,
    /// Takes no spans of other programs.
    #[arg(long)]
    pub(crate) no_otlp: bool,
    /// Speaks TLS with the certificate in this PEM file [env: LONGSHORE_SERVE_TLS_CERTIFICATE].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Its private key, a PEM file [env: LONGSHORE_SERVE_TLS_KEY].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,
    /// Prints where it answers as a line of JSON, once it does.
    #[arg(long)]
    pub(crate) json: bool,
}
