//! Exports to Google Cloud, with a token server and a receiver of our own.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use longshore_core::{SystemClock, Timestamp};
use longshore_telemetry::{Telemetry, TelemetrySettings};
use longshore_testkit::ManualClock;
use longshore_testkit::collector::Collector;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::outage::{Folder, until};
use super::server::{Answer, Asked, Server};
use super::tls::{Authority, Front, NAME, address, complaint};
use super::{PATIENCE, settings, span, start};

/// A key that signs nothing but these tests.
const KEY: &str = include_str!("google.key");

/// A token server whose tokens are numbered and last an hour.
fn token_server() -> Server {
    let mut number = 0;
    Server::start(move |_asked| {
        number += 1;
        granted(&format!("token-{number}"))
    })
}

fn granted(token: &str) -> Answer {
    let answer = json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"});
    Some((200, answer.to_string()))
}

fn service_account(folder: &Folder, token_url: &str) -> String {
    let file = json!({
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "key-7",
        "private_key": KEY,
        "client_email": "worker@shop-1.iam.example",
        "token_uri": token_url,
    });
    folder.put("service.json", &file.to_string())
}

/// A receiver that takes everything but these tokens.
fn receiver(refused: &'static [&'static str], status: u16) -> Server {
    Server::start(move |asked| {
        let authorization = asked.headers.get("authorization").cloned();
        let token = authorization.unwrap_or_default();
        let is_refused = refused.iter().any(|bad| token == format!("Bearer {bad}"));
        Some((if is_refused { status } else { 200 }, String::new()))
    })
}

fn tokens(receiver: &Server) -> Vec<String> {
    let token = |asked: Asked| asked.headers["authorization"].replace("Bearer ", "");
    receiver.asked().into_iter().map(token).collect()
}

fn cloudtrace(receiver: &str, credentials: &str) -> TelemetrySettings {
    settings(&[
        ("OTEL_TRACES_EXPORTER", "cloudtrace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("GOOGLE_APPLICATION_CREDENTIALS", credentials),
        ("GCP_PROJECT_ID", "shop-2"),
    ])
}

fn plain(receiver: &Server) -> String {
    format!("http://{}", receiver.address)
}

#[test]
fn the_preset_leads_to_google() {
    let telemetry = settings(&[("OTEL_TRACES_EXPORTER", "cloudtrace")]);
    let url = "https://telemetry.googleapis.com/v1/traces";
    assert_eq!(telemetry.endpoint.url, url);
    let grpc = settings(&[
        ("LONGSHORE_TELEMETRY_EXPORTER", "cloudtrace"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    let url = grpc.endpoint.url;
    assert!(
        url.starts_with("https://telemetry.googleapis.com/opentelemetry.proto"),
        "{url}"
    );
}

/// Also if spans go elsewhere.
#[tokio::test]
async fn log_records_go_with_a_token_and_their_project() {
    let folder = Folder::new("records");
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let front = Front::start(&authority.certify(NAME), None, address(&collector));
    let server = token_server();
    let credentials = service_account(&folder, &server.url());
    let pem = folder.put("authority.pem", &authority.pem);
    let to_google = settings(&[("LONGSHORE_TELEMETRY_LOGS", "cloudtrace")]);
    let url = to_google.logs.unwrap().endpoint.url;
    assert_eq!(url, "https://telemetry.googleapis.com/v1/logs");
    for protocol in ["grpc", "http/protobuf"] {
        collector.clear();
        let telemetry = start(&settings(&[
            ("OTEL_TRACES_EXPORTER", "none"),
            ("LONGSHORE_TELEMETRY_LOGS", "cloudtrace"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &front.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &pem),
            ("GOOGLE_APPLICATION_CREDENTIALS", &credentials),
        ]));
        let layer = tracing_subscriber::registry().with(telemetry.log_layer());
        tracing::subscriber::with_default(layer, || tracing::info!("said"));
        assert!(telemetry.shutdown(PATIENCE).await);
        assert_eq!(collector.log_records().len(), 1, "{protocol}");
        let [request] = <[_; 1]>::try_from(collector.requests()).unwrap();
        assert!(request.headers["authorization"].starts_with("Bearer token-"));
        assert_eq!(request.resource["gcp.project_id"], "shop-1");
    }
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let folder = Folder::new("service");
    let authority = Authority::new();
    let collector = Collector::start().unwrap();
    let front = Front::start(&authority.certify(NAME), None, address(&collector));
    let server = token_server();
    let credentials = service_account(&folder, &server.url());
    let pem = folder.put("authority.pem", &authority.pem);
    for protocol in ["grpc", "http/protobuf"] {
        collector.clear();
        let telemetry = start(&settings(&[
            ("OTEL_TRACES_EXPORTER", "cloudtrace"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &front.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &pem),
            ("GOOGLE_APPLICATION_CREDENTIALS", &credentials),
        ]));
        for number in 1..=2 {
            telemetry.recorder().record(vec![span(number)]);
            assert!(telemetry.flush(PATIENCE).await);
        }
        assert!(telemetry.shutdown(PATIENCE).await);
        let requests = collector.requests();
        assert_eq!(requests.len(), 2);
        let authorization = requests.iter().map(|one| &one.headers["authorization"]);
        let authorization: Vec<_> = authorization.collect();
        let asked = server.asked();
        let token = format!("Bearer token-{}", asked.len());
        assert_eq!(authorization, [&token, &token]);
        assert!(!requests[0].headers.contains_key("x-goog-user-project"));
        assert_eq!(requests[0].resource["gcp.project_id"], "shop-1");
    }
    let asked = &server.asked()[0];
    let assertion = asked.body.split_once("&assertion=").unwrap();
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    assert_eq!(assertion.0, grant);
    verify(assertion.1, &server.url());
}

/// A JSON web token is signed by the key and says what it must.
fn verify(token: &str, audience: &str) {
    let (text, signature) = token.rsplit_once('.').unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public = key.public_key().as_ref();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(text.as_bytes(), &signature)
        .unwrap();
    let parts: Vec<Value> = text
        .split('.')
        .map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap())
        .map(|part| serde_json::from_slice(&part).unwrap())
        .collect();
    assert_eq!(
        parts[0],
        json!({"alg": "RS256", "typ": "JWT", "kid": "key-7"})
    );
    assert_eq!(parts[1]["iss"], "worker@shop-1.iam.example");
    assert_eq!(parts[1]["aud"], audience);
    assert_eq!(
        parts[1]["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let seconds = |name: &str| parts[1][name].as_i64().unwrap();
    assert_eq!(seconds("exp") - seconds("iat"), 3600);
}

#[tokio::test]
async fn a_user_of_gcloud_pays_from_a_project() {
    let folder = Folder::new("user");
    let server = token_server();
    let receiver = receiver(&[], 200);
    let file = json!({
        "type": "authorized_user",
        "client_id": "id 1",
        "client_secret": "secret&1",
        "refresh_token": "1//refresh",
        "quota_project_id": "purse",
    });
    folder.put("application_default_credentials.json", &file.to_string());
    let telemetry = start(&settings(&[
        ("OTEL_TRACES_EXPORTER", "cloudtrace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &plain(&receiver)),
        ("CLOUDSDK_CONFIG", folder.0.to_str().unwrap()),
        ("LONGSHORE_TELEMETRY_GOOGLE_TOKEN_URL", &server.url()),
    ]));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(PATIENCE).await);
    let form = "grant_type=refresh_token&client_id=id%201&client_secret=secret%261\
                &refresh_token=1%2F%2Frefresh";
    assert_eq!(server.asked()[0].body, form);
    let asked = &receiver.asked()[0];
    assert_eq!(asked.headers["x-goog-user-project"], "purse");
    assert!(asked.body.contains("gcp.project_id"), "{}", asked.body);
    assert!(asked.body.contains("purse"), "{}", asked.body);
}

#[tokio::test]
async fn in_cloud_run_the_machine_knows_all() {
    let collector = Collector::start().unwrap();
    let metadata = Server::start(|asked| {
        assert_eq!(asked.headers["metadata-flavor"], "Google");
        let path = asked.path.strip_prefix("/computeMetadata/v1/").unwrap();
        match path {
            "project/project-id" => Some((200, "shop-3".to_owned())),
            "instance/region" => Some((200, "projects/7/regions/europe-west1".to_owned())),
            "instance/id" => Some((200, "00bf4bf".to_owned())),
            "instance/service-accounts/default/token" => granted("of-the-machine"),
            _ => Some((404, String::new())),
        }
    });
    let telemetry = start(&settings(&[
        ("OTEL_TRACES_EXPORTER", "cloudtrace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint()),
        ("GCE_METADATA_HOST", &metadata.address.to_string()),
        // It is never asked through a proxy.
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("NO_PROXY", &address(&collector).ip().to_string()),
        ("K_SERVICE", "till"),
        ("K_REVISION", "till-00007"),
        ("K_CONFIGURATION", "till"),
        ("OTEL_RESOURCE_ATTRIBUTES", "cloud.region=elsewhere"),
    ]));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(PATIENCE).await);
    let requests = collector.requests();
    assert_eq!(
        requests[0].headers["authorization"],
        "Bearer of-the-machine"
    );
    let expected = [
        ("service.name", "till"),
        ("gcp.project_id", "shop-3"),
        ("cloud.provider", "gcp"),
        ("cloud.platform", "gcp_cloud_run"),
        ("cloud.region", "elsewhere"),
        ("faas.name", "till"),
        ("faas.version", "till-00007"),
        ("faas.instance", "00bf4bf"),
    ];
    for (key, value) in expected {
        assert_eq!(requests[0].resource[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_metadata_server_that_hangs_does_not_keep_spans() {
    let folder = Folder::new("no-project");
    let receiver = receiver(&[], 200);
    let server = token_server();
    let file = json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "refresh",
    });
    let credentials = folder.put("user.json", &file.to_string());
    let metadata = Server::start(|_asked| None);
    let telemetry = start(&settings(&[
        ("OTEL_TRACES_EXPORTER", "cloudtrace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &plain(&receiver)),
        ("GOOGLE_APPLICATION_CREDENTIALS", &credentials),
        ("LONGSHORE_TELEMETRY_GOOGLE_TOKEN_URL", &server.url()),
        ("GCE_METADATA_HOST", &metadata.address.to_string()),
    ]));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(PATIENCE).await);
    assert_eq!(
        metadata.asked()[0].path,
        "/computeMetadata/v1/project/project-id"
    );
    let asked = &receiver.asked()[0];
    assert!(!asked.body.contains("gcp.project_id"));
    assert!(!asked.headers.contains_key("x-goog-user-project"));
}

#[tokio::test]
async fn a_token_is_renewed_beside_the_exports_before_it_ends() {
    let folder = Folder::new("renewed");
    let server = token_server();
    let receiver = receiver(&[], 200);
    let credentials = service_account(&folder, &server.url());
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1_000_000)));
    let settings = cloudtrace(&plain(&receiver), &credentials);
    let (telemetry, warnings) = Telemetry::init(&settings, clock.clone());
    assert_eq!(warnings, []);
    let export = async || {
        telemetry.recorder().record(vec![span(1)]);
        assert!(telemetry.flush(PATIENCE).await);
    };
    export().await;
    clock.advance(Duration::from_secs(3_299));
    export().await;
    assert_eq!(server.asked().len(), 1);
    // Five minutes before its end a new one is asked for, and the old one still used.
    server.answer(|_asked| None);
    clock.advance(Duration::from_secs(1));
    export().await;
    until(|| server.asked().len() == 2).await;
    export().await;
    assert_eq!(tokens(&receiver), ["token-1"; 4]);
    assert_eq!(server.asked().len(), 2, "once is enough");
    // Past its end none is sent without a new one.
    server.answer(|_asked| granted("late"));
    clock.advance(Duration::from_secs(300));
    export().await;
    assert_eq!(tokens(&receiver)[4], "late");
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_once() {
    let folder = Folder::new("replaced");
    let server = token_server();
    let credentials = service_account(&folder, &server.url());
    let receiver = receiver(&["token-1"], 401);
    let telemetry = start(&cloudtrace(&plain(&receiver), &credentials));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(PATIENCE).await);
    assert_eq!(tokens(&receiver), ["token-1", "token-2"]);
    let counters = telemetry.counters();
    assert_eq!((counters.exported, counters.last_export_error), (1, None));
}

#[tokio::test]
async fn an_account_without_its_role_keeps_spans_waiting_and_says_which() {
    for status in [401, 403] {
        let folder = Folder::new("role");
        let server = Server::start(|_asked| granted("same"));
        let credentials = service_account(&folder, &server.url());
        let receiver = receiver(&["same"], status);
        let telemetry = start(&cloudtrace(&plain(&receiver), &credentials));
        telemetry.recorder().record(vec![span(1)]);
        let said = complaint(&telemetry).await;
        let status = status.to_string();
        let texts = [
            status.as_str(),
            "worker@shop-1.iam.example",
            "roles/cloudtrace.agent",
            "telemetry.google_credentials",
        ];
        for text in texts {
            assert!(said.contains(text), "{said}");
        }
        assert_eq!(telemetry.counters().waiting(), 1);
        receiver.answer(|_asked| Some((200, String::new())));
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(telemetry.counters().exported, 1);
    }
}

#[tokio::test]
async fn a_token_server_that_is_away_or_refuses_keeps_spans_waiting() {
    let folder = Folder::new("away");
    let receiver = receiver(&[], 200);
    let refusal = json!({"error": "invalid_grant", "error_description": "no such account"});
    let server = Server::start(move |_asked| Some((400, refusal.to_string())));
    let nobody = "http://127.0.0.1:1/token".to_owned();
    for (url, text) in [
        (server.url(), "invalid_grant: no such account"),
        (nobody, "refused"),
    ] {
        let credentials = service_account(&folder, &url);
        let telemetry = start(&cloudtrace(&plain(&receiver), &credentials));
        telemetry.recorder().record(vec![span(1)]);
        let said = complaint(&telemetry).await;
        let account = "worker@shop-1.iam.example";
        for text in [text, &url, account, "GOOGLE_APPLICATION_CREDENTIALS"] {
            assert!(said.contains(text), "{said}");
        }
        assert!(!said.contains("PRIVATE"), "{said}");
        assert_eq!(telemetry.counters().waiting(), 1);
        // Another key file is read without a restart.
        let working = token_server();
        service_account(&folder, &working.url());
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(telemetry.counters().exported, 1);
    }
}

#[tokio::test]
async fn a_token_server_that_hangs_holds_nobody_up() {
    let folder = Folder::new("hangs");
    let receiver = receiver(&[], 200);
    let server = Server::start(|_asked| None);
    let credentials = service_account(&folder, &server.url());
    let telemetry = start(&cloudtrace(&plain(&receiver), &credentials));
    telemetry.recorder().record(vec![span(1)]);
    until(|| !server.asked().is_empty()).await;
    assert!(!telemetry.shutdown(Duration::from_millis(100)).await);
    until(|| telemetry.counters().waiting() == 0).await;
    assert_eq!(telemetry.counters().exported, 0);
    assert!(receiver.asked().is_empty());
}

#[tokio::test]
async fn credentials_that_are_none_are_said_without_their_secrets() {
    let folder = Folder::new("none");
    let cases = [
        ("hunter2", "is not JSON"),
        ("{}", "has no `type`"),
        (
            r#"{"type":"external_account"}"#,
            "the type `external_account`",
        ),
        (
            r#"{"type":"service_account","private_key":"hunter2"}"#,
            "`private_key` that is none",
        ),
        (
            r#"{"type":"authorized_user","client_secret":"hunter2"}"#,
            "has no `client_id`",
        ),
    ];
    for (content, text) in cases {
        let path = folder.put("credentials.json", content);
        let settings = cloudtrace("http://127.0.0.1:1", &path);
        let clock = Arc::new(SystemClock::new());
        let (telemetry, warnings) = Telemetry::init(&settings, clock);
        telemetry.recorder().record(vec![span(1)]);
        let said = format!("{} {}", warnings[0], complaint(&telemetry).await);
        let setting = "telemetry.google_credentials (GOOGLE_APPLICATION_CREDENTIALS)";
        for text in [text, &path, setting] {
            assert_eq!(said.matches(text).count(), 2, "{text} in {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
}
