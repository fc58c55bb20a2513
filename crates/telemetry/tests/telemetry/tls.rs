//! Receivers that speak TLS: who is trusted, who is not, and what is said about it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use longshore_core::SystemClock;
use longshore_telemetry::{Telemetry, TelemetrySettings};
use longshore_testkit::collector::Collector;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::{copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::outage::{Folder, until};
use super::{PATIENCE, settings, span, start};

pub(super) const NAME: &str = "localhost";

/// Whoever signs certificates.
pub(super) struct Authority {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    pub(super) fn certify(&self, name: &str) -> Pair {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        Pair { certificate, key }
    }
}

/// Speaks TLS in front of a server that does not, until the test's runtime ends.
pub(super) struct Front {
    address: SocketAddr,
}

impl Front {
    /// A front that shows this certificate and, if told to, wants one that this authority signed.
    pub(super) fn start(pair: &Pair, clients: Option<&Authority>, behind: SocketAddr) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let pem = authority.pem.as_bytes();
                roots
                    .add(CertificateDer::from_pem_slice(pem).unwrap())
                    .unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _peer) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&config), behind));
            }
        });
        Self { address }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{NAME}:{}", self.address.port())
    }
}

async fn serve(stream: TcpStream, config: Arc<ServerConfig>, behind: SocketAddr) {
    match TlsAcceptor::from(config)
        .accept(stream)
        .into_fallible()
        .await
    {
        Ok(mut secured) => {
            let mut plain = TcpStream::connect(behind).await.unwrap();
            // Either side may go at any time.
            let _gone = copy_bidirectional(&mut secured, &mut plain).await;
        }
        Err((_error, mut stream)) => {
            // To close at once would take the alert back.
            let _gone = tokio::io::copy(&mut stream, &mut sink()).await;
        }
    }
}

/// The address of a collector, which speaks no TLS itself.
pub(super) fn address(collector: &Collector) -> SocketAddr {
    let endpoint = collector.http_endpoint();
    endpoint.strip_prefix("http://").unwrap().parse().unwrap()
}

impl Folder {
    /// Writes a file and gives its path.
    pub(super) fn put(&self, name: &str, content: &str) -> String {
        std::fs::create_dir_all(&self.0).unwrap();
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Settings that export to `url`, once by gRPC and once by HTTP.
pub(super) fn both(url: &str, further: &[(&str, &str)]) -> [TelemetrySettings; 2] {
    ["grpc", "http/protobuf"].map(|protocol| {
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ];
        settings(&[&own, further].concat())
    })
}

/// Waits until an export has failed, and gives what was said.
pub(super) async fn complaint(telemetry: &Telemetry) -> String {
    until(|| telemetry.counters().last_export_error.is_some()).await;
    telemetry.counters().last_export_error.unwrap()
}

/// Exports by both protocols must fail, and say each of these texts.
pub(super) async fn fails(url: &str, further: &[(&str, &str)], texts: &[&str]) {
    for settings in both(url, further) {
        let telemetry = start(&settings);
        telemetry.recorder().record(vec![span(1)]);
        let said = complaint(&telemetry).await;
        for text in texts {
            assert!(said.contains(text), "{said}");
        }
        let counters = telemetry.counters();
        assert_eq!((counters.exported, counters.waiting()), (0, 1));
    }
}

#[tokio::test]
async fn a_receiver_is_known_by_its_authority() {
    let folder = Folder::new("authority");
    let (authority, stranger) = (Authority::new(), Authority::new());
    let collector = Collector::start().unwrap();
    let front = Front::start(&authority.certify(NAME), None, address(&collector));
    let right = folder.put("right.pem", &authority.pem);
    for variable in [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    ] {
        for settings in both(&front.url(), &[(variable, &right)]) {
            collector.clear();
            let telemetry = start(&settings);
            telemetry.recorder().record(vec![span(1)]);
            assert!(telemetry.flush(PATIENCE).await);
            assert_eq!(collector.spans().len(), 1);
        }
    }
    let wrong = folder.put("wrong.pem", &stranger.pem);
    let setting = "telemetry.certificate (OTEL_EXPORTER_OTLP_CERTIFICATE)";
    let wrong = [("OTEL_EXPORTER_OTLP_CERTIFICATE", wrong.as_str())];
    fails(&front.url(), &wrong, &["localhost", "wrong.pem", setting]).await;
    fails(&front.url(), &[], &["not known here", setting]).await;
}

#[tokio::test]
async fn a_certificate_must_be_in_time_and_for_the_name() {
    let folder = Folder::new("name");
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let pem = folder.put("authority.pem", &authority.pem);
    let trusted = [("OTEL_EXPORTER_OTLP_CERTIFICATE", pem.as_str())];
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.not_after = date_time_ymd(2001, 2, 3);
    let cases = [
        (authority.sign(&params), "has expired"),
        (authority.certify("collector.example"), "for another name"),
    ];
    for (pair, text) in cases {
        let front = Front::start(&pair, None, address(&collector));
        fails(&front.url(), &trusted, &[text, "telemetry.endpoint"]).await;
    }
    assert_eq!(collector.requests().len(), 0);
}

#[tokio::test]
async fn a_receiver_may_want_to_know_its_clients() {
    let folder = Folder::new("clients");
    let (authority, stranger) = (Authority::new(), Authority::new());
    let collector = Collector::start().unwrap();
    let own = authority.certify(NAME);
    let front = Front::start(&own, Some(&authority), address(&collector));
    let trusted = folder.put("authority.pem", &authority.pem);
    let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.as_str());
    let setting = "telemetry.client_certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)";
    fails(&front.url(), &[trusted], &[setting, "telemetry.client_key"]).await;

    let known = authority.certify("worker");
    let certificate = folder.put("known.pem", &known.certificate);
    let key = folder.put("known.key", &known.key);
    let variables = [
        (
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            certificate.as_str(),
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", key.as_str()),
        trusted,
    ];
    for settings in both(&front.url(), &variables) {
        collector.clear();
        let telemetry = start(&settings);
        telemetry.recorder().record(vec![span(1)]);
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(collector.spans().len(), 1);
    }

    let unknown = stranger.certify("worker");
    let certificate = folder.put("unknown.pem", &unknown.certificate);
    let key = folder.put("unknown.key", &unknown.key);
    let variables = [
        (
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
            certificate.as_str(),
        ),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
        trusted,
    ];
    fails(&front.url(), &variables, &[setting, "unknown.pem"]).await;
}

#[tokio::test]
async fn a_receiver_that_hangs_up_may_want_a_certificate() {
    let folder = Folder::new("hangs-up");
    let authority = Authority::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let behind = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let front = Front::start(&authority.certify(NAME), None, behind);
    let trusted = folder.put("authority.pem", &authority.pem);
    let trusted = [("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.as_str())];
    let texts = ["hung up before it answered", "telemetry.client_certificate"];
    fails(&front.url(), &trusted, &texts).await;
}

#[tokio::test]
async fn the_wrong_scheme_is_said() {
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let url = collector.http_endpoint().replace("http://", "https://");
    fails(&url, &[], &["write http:// instead", "telemetry.endpoint"]).await;
    let front = Front::start(&authority.certify(NAME), None, address(&collector));
    let url = front.url().replace("https://", "http://");
    let [_grpc, http] = both(&url, &[]);
    let telemetry = start(&http);
    telemetry.recorder().record(vec![span(1)]);
    let said = complaint(&telemetry).await;
    assert!(
        said.contains("write https:// in telemetry.endpoint"),
        "{said}"
    );
}

#[tokio::test]
async fn certificates_may_come_later_and_be_replaced() {
    let folder = Folder::new("later");
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let front = Front::start(&authority.certify(NAME), None, address(&collector));
    let path = folder.0.join("authority.pem");
    let variables = [("OTEL_EXPORTER_OTLP_CERTIFICATE", path.to_str().unwrap())];
    for settings in both(&front.url(), &variables) {
        let clock = Arc::new(SystemClock::new());
        let (telemetry, warnings) = Telemetry::init(&settings, clock);
        assert!(warnings[0].0.contains("cannot be read"), "{warnings:?}");
        assert!(warnings[0].0.contains("authority.pem"), "{warnings:?}");
        telemetry.recorder().record(vec![span(1)]);
        let said = complaint(&telemetry).await;
        assert!(said.contains("telemetry.certificate"), "{said}");
        folder.put("authority.pem", &Authority::new().pem);
        until(|| said_of(&telemetry, "signed by no authority")).await;
        collector.clear();
        folder.put("authority.pem", &authority.pem);
        assert_eq!(collector.wait_for(1, PATIENCE).await.len(), 1);
        std::fs::remove_file(&path).unwrap();
    }
}

fn said_of(telemetry: &Telemetry, text: &str) -> bool {
    let said = telemetry.counters().last_export_error;
    said.is_some_and(|said| said.contains(text))
}

#[test]
fn files_that_are_no_certificates_are_said() {
    let folder = Folder::new("files");
    let pair = Authority::new().certify(NAME);
    let certificate = folder.put("own.pem", &pair.certificate);
    let key = folder.put("own.key", &pair.key);
    let other = folder.put("other.key", &Authority::new().certify(NAME).key);
    let broken = folder.put(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    );
    let ca = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let own = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
    let secret = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[(ca, &key)], "own.key holds no certificate in PEM"),
        (&[(ca, &broken)], "broken.pem"),
        (&[(ca, folder.0.to_str().unwrap())], "cannot be read"),
        (&[(own, &certificate)], "set telemetry.client_key"),
        (&[(secret, &key)], "set telemetry.client_certificate"),
        (
            &[(own, &certificate), (secret, &certificate)],
            "no private key",
        ),
        (
            &[(own, &certificate), (secret, &other)],
            "do not go together",
        ),
    ];
    for (variables, text) in cases {
        for settings in both("https://localhost:1", variables) {
            let clock = Arc::new(SystemClock::new());
            let (_telemetry, warnings) = Telemetry::init(&settings, clock);
            assert!(warnings[0].0.contains(text), "{warnings:?}");
            assert!(warnings[0].0.contains("telemetry."), "{warnings:?}");
        }
    }
}
