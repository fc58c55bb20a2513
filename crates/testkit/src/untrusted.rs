//! A receiver that speaks TLS with a certificate whose authority nobody trusts yet.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerConfig;
use tokio::io::{copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

const NAME: &str = "localhost";

/// Speaks TLS in front of a receiver that does not, on a thread of its own, with a certificate of
/// an authority of its own. Dropping it closes it.
///
/// ```
/// use longshore_testkit::collector::Collector;
/// use longshore_testkit::untrusted::Untrusted;
/// let collector = Collector::start()?;
/// let front = Untrusted::before(collector.address())?;
/// assert!(front.endpoint().starts_with("https://localhost:"));
/// assert!(front.authority().starts_with("-----BEGIN CERTIFICATE"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Untrusted {
    address: SocketAddr,
    authority: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Untrusted {
    /// A front of a receiver.
    ///
    /// # Errors
    /// If no port can be bound, no thread started, or no certificate made.
    pub fn before(receiver: SocketAddr) -> io::Result<Self> {
        let (authority, config) = certified().map_err(io::Error::other)?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let work = async move {
            tokio::select! {
                () = accept(listener, TlsAcceptor::from(Arc::new(config)), receiver) => {}
                _dropped = stopped => {}
            }
        };
        let thread = std::thread::Builder::new()
            .name("untrusted-front".to_owned())
            .spawn(move || runtime.block_on(work))?;
        Ok(Self {
            address,
            authority,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{NAME}:{}", self.address.port())
    }

    /// The certificate, in PEM, of the authority that one would have to trust.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// The certificate of a new authority, and a server with one that it signed.
fn certified() -> Result<(String, ServerConfig), Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([NAME.to_owned()])?.signed_by(&key, &issuer)?;
    let certificate = CertificateDer::from_pem_slice(certificate.pem().as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((authority, config))
}

async fn accept(listener: std::net::TcpListener, tls: TlsAcceptor, receiver: SocketAddr) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        if let Ok((stream, _peer)) = listener.accept().await {
            tokio::spawn(serve(stream, tls.clone(), receiver));
        }
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, receiver: SocketAddr) {
    match tls.accept(stream).into_fallible().await {
        Ok(mut secured) => {
            if let Ok(mut plain) = TcpStream::connect(receiver).await {
                // Either side may go at any time.
                let _gone = copy_bidirectional(&mut secured, &mut plain).await;
            }
        }
        Err((_refused, mut stream)) => {
            // To close at once would take the alert back.
            let _gone = tokio::io::copy(&mut stream, &mut sink()).await;
        }
    }
}
