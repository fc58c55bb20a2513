//! Proxies on the way to a receiver.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use longshore_telemetry::{Config, Environment};
use longshore_testkit::collector::Collector;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::outage::Folder;
use super::tls::{Authority, Front, NAME, address, both, fails};
use super::{PATIENCE, span, start};

/// `user:p@ss`, as a proxy wants it.
const KNOWN: &str = "proxy-authorization: basic dxnlcjpwqhnz";

/// A proxy that knows one user, until the test's runtime ends.
struct Proxy {
    address: SocketAddr,
    /// The first lines of what it was asked, in lower case.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _peer) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(stream, Arc::clone(&shared)));
            }
        });
        Self { address, asked }
    }

    fn url(&self, user: &str) -> String {
        format!("http://{user}@{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

async fn pass_on(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone())
        .unwrap()
        .to_ascii_lowercase();
    let first = text.lines().next().unwrap().to_owned();
    let target = first.split(' ').nth(1).unwrap().replace("http://", "");
    let target = target.split('/').next().unwrap().to_owned();
    let is_tunnel = first.starts_with("connect ");
    asked.lock().unwrap().push(first);
    if !text.contains(KNOWN) {
        let refusal = b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n";
        let _gone = client.write_all(refusal).await;
        return;
    }
    let mut server = TcpStream::connect(target).await.unwrap();
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    // Either side may go at any time.
    let _gone = copy_bidirectional(&mut client, &mut server).await;
}

/// One span arrives, by each protocol; gives what the proxy was asked for the sake of it.
async fn arrives(
    collector: &Collector,
    proxy: &Proxy,
    url: &str,
    variables: &[(&str, &str)],
) -> [Vec<String>; 2] {
    let mut asked = Vec::new();
    for settings in both(url, variables) {
        collector.clear();
        let telemetry = start(&settings);
        telemetry.recorder().record(vec![span(1)]);
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(collector.spans().len(), 1);
        asked.push(proxy.asked());
    }
    asked.try_into().unwrap()
}

#[tokio::test]
async fn a_secured_receiver_is_reached_through_a_tunnel() {
    let folder = Folder::new("tunnel");
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let front = Front::start(&authority.certify(NAME), None, address(&collector));
    let pem = folder.put("authority.pem", &authority.pem);
    let proxy = Proxy::start();
    let expected = format!("connect {} http/1.1", front.url().replace("https://", ""));
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let user = proxy.url("user:p%40ss");
        let variables = [
            (variable, user.as_str()),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &pem),
        ];
        let asked = arrives(&collector, &proxy, &front.url(), &variables).await;
        assert_eq!(asked, [[expected.as_str()], [&expected]]);
    }
}

#[tokio::test]
async fn a_proxy_may_be_spoken_to_by_tls() {
    let folder = Folder::new("secure-proxy");
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let proxy = Proxy::start();
    let front = Front::start(&authority.certify(NAME), None, proxy.address);
    let pem = folder.put("authority.pem", &authority.pem);
    let user = front.url().replace("https://", "https://user:p%40ss@");
    let variables = [
        ("HTTP_PROXY", user.as_str()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &pem),
    ];
    let url = collector.http_endpoint();
    let asked = arrives(&collector, &proxy, &url, &variables).await;
    assert!(asked[0][0].starts_with("connect "), "{asked:?}");
    assert!(asked[1][0].starts_with("post "), "{asked:?}");
    let texts = ["the proxy localhost", "UnknownIssuer", "(HTTPS_PROXY)"];
    fails(&url, &variables[..1], &texts).await;
}

#[tokio::test]
async fn a_plain_receiver_is_reached_as_its_protocol_allows() {
    let collector = Collector::start().unwrap();
    let at = address(&collector);
    let url = format!("http://{at}");
    let proxy = Proxy::start();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let user = proxy.url("user:p%40ss");
        let variables = [
            (variable, user.as_str()),
            ("HTTPS_PROXY", "proxy.invalid:1"),
        ];
        let asked = arrives(&collector, &proxy, &url, &variables).await;
        let tunnel = format!("connect {at} http/1.1");
        let request = format!("post http://{at}/v1/traces http/1.1");
        assert_eq!(asked, [[tunnel], [request]]);
    }
}

#[tokio::test]
async fn some_hosts_need_no_proxy() {
    let collector = Collector::start().unwrap();
    let at = address(&collector);
    let named = format!("http://localhost:{}", at.port());
    let proxy = Proxy::start();
    let user = proxy.url("nobody");
    let cases = [
        (
            "NO_PROXY",
            "example.com, 127.0.0.0/8",
            format!("http://{at}"),
        ),
        ("no_proxy", "127.0.0.1", format!("http://{at}")),
        ("NO_PROXY", "*", format!("http://{at}")),
        ("LONGSHORE_TELEMETRY_NO_PROXY", "localhost", named),
    ];
    for (variable, value, url) in &cases {
        let variables = [("HTTP_PROXY", user.as_str()), (variable, value)];
        let asked = arrives(&collector, &proxy, url, &variables).await;
        assert_eq!(asked, [[""; 0], []]);
    }
}

#[tokio::test]
async fn what_a_proxy_does_not_do_is_said_without_its_password() {
    let proxy = Proxy::start();
    let url = proxy.url("user:hunter2");
    let name = proxy.address.to_string();
    let variables = [("HTTPS_PROXY", url.as_str()), ("HTTP_PROXY", &url)];
    let texts = [name.as_str(), "authorization required", "(HTTPS_PROXY)"];
    fails("https://receiver.invalid", &variables, &texts).await;
    assert!(proxy.asked()[0].starts_with("connect receiver.invalid:443 "));
    fails("http://receiver.invalid", &variables, &["(HTTP_PROXY)"]).await;
    assert!(proxy.asked()[0].starts_with("connect receiver.invalid:80 "));
    // Nobody listens there.
    let port = longshore_testkit::Port::reserve().unwrap();
    let nobody = port.address().to_string();
    let variables = [("HTTPS_PROXY", nobody.as_str()), ("HTTP_PROXY", &nobody)];
    for receiver in ["https://receiver.invalid", "http://receiver.invalid"] {
        let texts = [nobody.as_str(), "the proxy", "(NO_PROXY)"];
        fails(receiver, &variables, &texts).await;
    }
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let url = "http://user:hunt@er2@proxy:3128";
    for bad in [
        url,
        "socks5://user:hunter2@proxy",
        "http://user:hunter2@",
        "hunter2",
    ] {
        let environment = Environment::from_pairs([
            ("HTTPS_PROXY", bad),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@c:4318"),
        ]);
        let config = Config::load(&[], &environment, &[]).unwrap();
        let shown = format!("{:?} {:?}", config.shown(), config.warnings());
        assert!(!shown.contains("er2") || bad == "hunter2", "{shown}");
        let proxy = config.telemetry().proxy;
        assert!(
            !format!("{proxy:?}").contains("er2") || bad == "hunter2",
            "{proxy:?}"
        );
    }
    let environment = Environment::from_pairs([("HTTPS_PROXY", "socks5://proxy:1080")]);
    let config = Config::load(&[], &environment, &[]).unwrap();
    let warning = config.warnings()[0].to_string();
    assert!(warning.contains("$HTTPS_PROXY"), "{warning}");
    assert!(
        warning.contains("socks5 proxies are not spoken to"),
        "{warning}"
    );
}
