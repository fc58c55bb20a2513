//! Certificates: whose word is taken for the server's, and what is shown to it.

use std::fmt;

use longshore_core::{ErrorKind, StoreError};
use redis::{Client, ClientTlsConfig, ConnectionInfo, RedisError, TlsCertificates};

/// Certificates and a key, in PEM, as their files have them.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Who vouches for the server, instead of those that the system trusts.
    authority: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the file of a parameter of the URL: `cacert`, `cert` or `key`.
    pub(crate) fn read(&mut self, parameter: &str, file: &str) -> Result<(), StoreError> {
        let text = std::fs::read(file).map_err(|error| {
            let message = format!("the file of `{parameter}`, {file}, cannot be read: {error}");
            StoreError::new(ErrorKind::Invalid, message).with_source(error)
        })?;
        let place = match parameter {
            "cacert" => &mut self.authority,
            "cert" => &mut self.certificate,
            _ => &mut self.key,
        };
        *place = Some(text);
        Ok(())
    }

    /// Whether these fit together, and the URL.
    pub(crate) fn check(&self, is_tls: bool) -> Result<(), StoreError> {
        let refuse = |problem: &str| Err(StoreError::new(ErrorKind::Invalid, problem.to_owned()));
        if self.certificate.is_some() != self.key.is_some() {
            return refuse("`cert` and `key` go together: give both or none");
        }
        if (self.authority.is_some() || self.certificate.is_some()) && !is_tls {
            return refuse("`cacert`, `cert` and `key` are for TLS: write rediss://");
        }
        Ok(())
    }

    /// A client of a server.
    pub(crate) fn client(&self, info: &ConnectionInfo) -> Result<Client, RedisError> {
        let client_tls = self.certificate.clone().zip(self.key.clone());
        if self.authority.is_none() && client_tls.is_none() {
            return Client::open(info.clone());
        }
        let certificates = TlsCertificates {
            client_tls: client_tls.map(|(client_cert, client_key)| ClientTlsConfig {
                client_cert,
                client_key,
            }),
            root_cert: self.authority.clone(),
        };
        Client::build_with_tls(info.clone(), certificates)
    }
}
