//! Whom the exporter trusts, as whom it shows itself, and what went wrong where it does not.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, ConfigBuilder, RootCertStore};

use crate::config::TlsSettings;

const AUTHORITIES: &str = "telemetry.certificate (OTEL_EXPORTER_OTLP_CERTIFICATE)";
const OWN_CERTIFICATE: &str =
    "telemetry.client_certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)";
const OWN_KEY: &str = "telemetry.client_key (OTEL_EXPORTER_OTLP_CLIENT_KEY)";
const ENDPOINT: &str = "telemetry.endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)";

/// The TLS client that the settings ask for; the files are read anew each time, since
/// certificates are renewed while processes run.
pub(super) fn client(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let builder = trusting(roots(settings)?)?;
    let (certificate, key) = match (&settings.client_certificate, &settings.client_key) {
        (None, None) => return Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return Err(format!("{OWN_CERTIFICATE} needs its key: set {OWN_KEY}")),
        (None, Some(_)) => {
            return Err(format!(
                "{OWN_KEY} needs its certificate: set {OWN_CERTIFICATE}"
            ));
        }
    };
    let chain = certificates(certificate, OWN_CERTIFICATE)?;
    let pem = read(key, OWN_KEY)?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_error| {
        format!(
            "{} holds no private key in PEM without a password; put one there, or set {OWN_KEY} to another file",
            key.display()
        )
    })?;
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| {
            format!(
                "{} and {} do not go together ({error}); set {OWN_CERTIFICATE} and {OWN_KEY} to a pair",
                certificate.display(),
                key.display()
            )
        })
}

/// A TLS client for connections that are made without TLS.
pub(super) fn trusting_nobody() -> Result<ClientConfig, String> {
    trusting(RootCertStore::empty()).map(|builder| builder.with_no_client_auth())
}

fn trusting(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up ({error})"))?;
    Ok(builder.with_root_certificates(roots))
}

/// The authorities of the file that is set, and no others; else those of this machine and those
/// that browsers trust.
fn roots(settings: &TlsSettings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &settings.certificate else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        // What of this machine's store cannot be read is missing, and is said when it is needed.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates(path, AUTHORITIES)? {
        roots.add(certificate).map_err(|error| {
            format!(
                "{} holds a certificate that is none of an authority ({error}); set {AUTHORITIES} to another file",
                path.display()
            )
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path, setting)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_none) => Err(format!(
            "{} holds no certificate in PEM; put one there, or set {setting} to another file",
            path.display()
        )),
        Err(error) => Err(format!(
            "{} is not PEM ({error}); mend it, or set {setting} to another file",
            path.display()
        )),
    }
}

fn read(path: &Path, setting: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        format!(
            "{} cannot be read ({error}); set {setting} to a file that can",
            path.display()
        )
    })
}

/// The TLS error that an error comes from, if it does.
pub(super) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // An I/O error passes over the error that it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// What a TLS error means here, and what mends it.
pub(super) fn explain(error: &rustls::Error, settings: &TlsSettings) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => explain_certificate(error, settings),
        rustls::Error::AlertReceived(alert) => explain_alert(*alert, settings),
        rustls::Error::InvalidMessage(_) => format!(
            "it does not speak TLS; if that is meant, write http:// instead of https:// in {ENDPOINT}"
        ),
        other => format!("TLS failed ({other}); see {ENDPOINT} and {AUTHORITIES}"),
    }
}

fn explain_certificate(error: &CertificateError, settings: &TlsSettings) -> String {
    use CertificateError as E;
    match (error, &settings.certificate) {
        (E::UnknownIssuer | E::BadSignature, Some(path)) => format!(
            "its certificate is signed by no authority in {}; set {AUTHORITIES} to a PEM file with the authority that signed it",
            path.display()
        ),
        (E::UnknownIssuer, None) => format!(
            "its certificate is signed by an authority that is not known here; set {AUTHORITIES} to a PEM file with that authority's certificate"
        ),
        (E::Expired | E::ExpiredContext { .. }, _) => format!(
            "its certificate has expired ({error}); renew it there, or set {ENDPOINT} to another receiver; if it has not, mend the clock of this machine"
        ),
        (E::NotValidYet | E::NotValidYetContext { .. }, _) => format!(
            "its certificate is not valid yet ({error}); mend the clock of this machine, or set {ENDPOINT} to another receiver"
        ),
        (E::NotValidForName | E::NotValidForNameContext { .. }, _) => format!(
            "its certificate is for another name ({error}); set {ENDPOINT} to a name that it is for"
        ),
        _ => format!(
            "its certificate cannot be used ({error}); replace it there, or see {AUTHORITIES}"
        ),
    }
}

fn explain_alert(alert: AlertDescription, settings: &TlsSettings) -> String {
    let name = format!("{alert:?}");
    match &settings.client_certificate {
        None if is_about_certificates(alert) => format!(
            "it wants a certificate of this client ({name}); set {OWN_CERTIFICATE} and {OWN_KEY}"
        ),
        Some(path) if is_about_certificates(alert) => format!(
            "it does not take the certificate in {} ({name}); set {OWN_CERTIFICATE} and {OWN_KEY} to a pair that it knows",
            path.display()
        ),
        _ => format!("it refused to speak TLS ({name}); see {ENDPOINT} and {OWN_CERTIFICATE}"),
    }
}

/// Whether a receiver that wants another certificate of the client may say so with this.
fn is_about_certificates(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::CertificateRequired
            | A::HandshakeFailure
            | A::BadCertificate
            | A::DecryptError
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
    )
}

/// What it may mean that a receiver hangs up after the handshake without a word: some want a
/// certificate and do not say so, or their alert is lost with the connection.
pub(super) fn hung_up(settings: &TlsSettings) -> String {
    let certificate = match &settings.client_certificate {
        None => {
            format!("if it wants a certificate of this client, set {OWN_CERTIFICATE} and {OWN_KEY}")
        }
        Some(path) => format!(
            "if it does not take the certificate in {}, set {OWN_CERTIFICATE} and {OWN_KEY} to a pair that it knows",
            path.display()
        ),
    };
    format!("it hung up before it answered; {certificate}")
}
