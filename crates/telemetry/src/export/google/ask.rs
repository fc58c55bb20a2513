//! Small requests to token and metadata servers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::super::connection::{Connector, Trouble, chain};
use crate::config::{Protocol, ProxySettings, TlsSettings};

/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// Most characters of an error's description.
const MAX_SAID: usize = 200;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks servers for small texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Asker {
    /// On the way to token servers; the metadata server is always near.
    pub(super) proxy: ProxySettings,
}

impl Asker {
    /// Sends a form.
    pub(super) async fn post(&self, url: &str, form: String) -> Result<String, String> {
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        ask(url, request, &self.proxy).await
    }

    /// Asks the metadata server at `host` for a value.
    pub(super) async fn metadata(&self, host: &str, path: &str) -> Result<String, String> {
        let mut request = Request::new(Full::default());
        let flavor = HeaderValue::from_static("Google");
        request.headers_mut().insert("metadata-flavor", flavor);
        let url = format!("http://{host}/computeMetadata/v1/{path}");
        ask(&url, request, &ProxySettings::default()).await
    }
}

async fn ask(
    url: &str,
    mut request: Request<Full<Bytes>>,
    proxy: &ProxySettings,
) -> Result<String, String> {
    let uri: Uri = url
        .parse()
        .map_err(|_error| "that is not a URL".to_owned())?;
    let trouble = Arc::new(Trouble::new(TlsSettings::default()));
    let protocol = Protocol::HttpProtobuf;
    let connector = Connector::new(&uri, protocol, proxy, Arc::clone(&trouble))?;
    if let Some(authorization) = connector.authorization() {
        let headers = request.headers_mut();
        headers.insert(hyper::header::PROXY_AUTHORIZATION, authorization.clone());
    }
    *request.uri_mut() = uri;
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let asking = async {
        let response = client
            .request(request)
            .await
            .map_err(|error| trouble.take().unwrap_or_else(|| chain(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        let body = body.map_err(|error| format!("its answer cannot be read ({error})"))?;
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        if status.is_success() {
            Ok(body)
        } else {
            Err(format!("it answered {status}{}", description(&body)))
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_elapsed| Err("it did not answer in time".to_owned()))
}

/// What an OAuth server says of an error.
fn description(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let said = ["error", "error_description"]
        .iter()
        .filter_map(|name| body.get(*name)?.as_str());
    let said: Vec<&str> = said.collect();
    let said: String = said.join(": ").chars().take(MAX_SAID).collect();
    if said.is_empty() {
        said
    } else {
        format!(" ({})", said.escape_debug())
    }
}

/// The body of a form.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped(value));
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_escaped() {
        assert_eq!(
            form(&[("a", "x y&=é"), ("b", "1-._~")]),
            "a=x%20y%26%3D%C3%A9&b=1-._~"
        );
    }

    #[test]
    fn an_error_is_described_in_bounds() {
        let body = r#"{"error":"invalid_grant","error_description":"bad\n\u001bkey"}"#;
        assert_eq!(description(body), " (invalid_grant: bad\\n\\u{1b}key)");
        assert_eq!(description("<html>"), "");
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(1 << 16));
        assert_eq!(description(&long).len(), MAX_SAID + 3);
    }
}
