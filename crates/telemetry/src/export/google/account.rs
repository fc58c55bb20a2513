//! Accounts that exports can be made for, and how each gets a token.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use longshore_core::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::ask::{Asker, form};
use crate::config::GoogleSettings;

const CREDENTIALS: &str = "telemetry.google_credentials (GOOGLE_APPLICATION_CREDENTIALS)";
/// What a token may be used for; what the account may do with it, its roles say.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where users' tokens are renewed.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Seconds for which a signed request for a token is good.
const ASSERTION_SECONDS: i64 = 3600;
/// Most bytes of a file with credentials.
const MAX_FILE: u64 = 1 << 20;

/// An account, with what proves it. It has no `Debug`, so that no secret is printed by chance.
pub(super) enum Account {
    /// A service account with a key of its own.
    Service {
        email: String,
        key: Box<RsaKeyPair>,
        key_id: String,
        token_url: String,
        project: Option<String>,
    },
    /// A person who has logged in with `gcloud`.
    User {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        token_url: String,
        project: Option<String>,
    },
    /// The account of the machine, as its metadata server knows it.
    Machine { host: String },
}

/// A token as a server gave it.
pub(super) struct Granted {
    pub(super) token: String,
    pub(super) seconds: u64,
}

impl Account {
    /// The account that the settings lead to.
    pub(super) fn find(settings: &GoogleSettings) -> Result<Self, String> {
        if let Some(path) = &settings.credentials {
            return Self::read(path, settings);
        }
        let left_behind = settings.gcloud_folder.as_deref().map(left_behind);
        if let Some(path) = left_behind.filter(|path| path.is_file()) {
            return Self::read(&path, settings);
        }
        Ok(Self::Machine {
            host: settings.metadata_host.clone(),
        })
    }

    fn read(path: &Path, settings: &GoogleSettings) -> Result<Self, String> {
        let problem = |what: String| {
            let path = path.display();
            format!("{path} {what}; set {CREDENTIALS} to a key file of a service account")
        };
        let length = std::fs::metadata(path).map(|metadata| metadata.len());
        if length.is_ok_and(|length| length > MAX_FILE) {
            return Err(problem("is too large for credentials".to_owned()));
        }
        let text =
            std::fs::read(path).map_err(|error| problem(format!("cannot be read ({error})")))?;
        // What the parser says could repeat a secret.
        let file: Value =
            serde_json::from_slice(&text).map_err(|_error| problem("is not JSON".to_owned()))?;
        Self::parse(&file, settings).map_err(problem)
    }

    /// The account of a credentials file; else what is wrong with the file.
    fn parse(file: &Value, settings: &GoogleSettings) -> Result<Self, String> {
        let optional = |name: &str| file.get(name)?.as_str().map(str::to_owned);
        let required = |name: &str| optional(name).ok_or_else(|| format!("has no `{name}`"));
        let token_url = settings.token_url.clone();
        let token_url = token_url
            .or_else(|| optional("token_uri"))
            .unwrap_or_else(|| TOKEN_URL.to_owned());
        match required("type")?.as_str() {
            "service_account" => {
                let pem = required("private_key")?;
                let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
                    .ok()
                    .and_then(|der| RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok())
                    .ok_or("has a `private_key` that is none")?;
                Ok(Self::Service {
                    email: required("client_email")?,
                    key: Box::new(key),
                    key_id: optional("private_key_id").unwrap_or_default(),
                    token_url,
                    project: optional("project_id"),
                })
            }
            "authorized_user" => Ok(Self::User {
                client_id: required("client_id")?,
                client_secret: required("client_secret")?,
                refresh_token: required("refresh_token")?,
                token_url,
                project: optional("quota_project_id"),
            }),
            other => Err(format!(
                "holds credentials of the type `{}`, which is not known here",
                other.escape_debug()
            )),
        }
    }

    /// The account's name for people, without secrets.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Service { email, .. } => email.clone(),
            Self::User { .. } => "the user of gcloud".to_owned(),
            Self::Machine { host } => format!("the service account of this machine (by {host})"),
        }
    }

    /// The project that the credentials name.
    pub(super) fn project(&self) -> Option<&str> {
        match self {
            Self::Service { project, .. } | Self::User { project, .. } => project.as_deref(),
            Self::Machine { .. } => None,
        }
    }

    /// Whether requests must say which project pays for them.
    pub(super) fn is_user(&self) -> bool {
        matches!(self, Self::User { .. })
    }

    /// A new token.
    pub(super) async fn token(&self, asker: &Asker, now: Timestamp) -> Result<Granted, String> {
        let (from, answer) = match self {
            Self::Service { token_url, .. } => {
                let assertion = self.assertion(now)?;
                let body = form(&[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", &assertion),
                ]);
                (token_url, asker.post(token_url, body).await)
            }
            Self::User {
                client_id,
                client_secret,
                refresh_token,
                token_url,
                ..
            } => {
                let body = form(&[
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret),
                    ("refresh_token", refresh_token),
                ]);
                (token_url, asker.post(token_url, body).await)
            }
            Self::Machine { host } => {
                let path = "instance/service-accounts/default/token";
                (host, asker.metadata(host, path).await)
            }
        };
        let answer = answer.map_err(|what| {
            format!(
                "no token for {} can be had from {from}: {what}; see {CREDENTIALS}",
                self.name()
            )
        })?;
        granted(&answer).ok_or_else(|| format!("{from} answered with no token; see {CREDENTIALS}"))
    }

    /// The signed request for a token.
    fn assertion(&self, now: Timestamp) -> Result<String, String> {
        let Self::Service {
            email,
            key,
            key_id,
            token_url,
            ..
        } = self
        else {
            return Ok(String::new());
        };
        let now = now.unix_millis() / 1000;
        let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": key_id});
        let claims = serde_json::json!({
            "iss": email,
            "scope": SCOPE,
            "aud": token_url,
            "iat": now,
            "exp": now.saturating_add(ASSERTION_SECONDS),
        });
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .map_err(|_unspecified| {
            format!("the key of {email} cannot sign; set {CREDENTIALS} to another key file")
        })?;
        Ok(format!(
            "{text}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }
}

fn left_behind(folder: &Path) -> PathBuf {
    folder.join("application_default_credentials.json")
}

fn granted(answer: &str) -> Option<Granted> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    Some(Granted {
        token: answer.get("access_token")?.as_str()?.to_owned(),
        seconds: answer
            .get("expires_in")
            .and_then(Value::as_u64)
            .unwrap_or(0),
    })
}
