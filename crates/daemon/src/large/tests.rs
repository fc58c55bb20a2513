use std::io::Read as _;
use std::sync::Arc;

use axum::http::header::ACCEPT_ENCODING;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;

use super::*;

async fn turn(turns: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(turns).acquire_owned().await.unwrap()
}

fn taking(encodings: &str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, encodings.parse().unwrap())])
}

/// What is larger than all pieces that may wait.
fn large() -> Vec<String> {
    (0..100_000)
        .map(|number| format!("number {number}"))
        .collect()
}

#[tokio::test]
async fn what_is_large_arrives_whole_packed_as_it_is_taken() {
    let turns = Arc::new(Semaphore::new(1));
    for (taken, named) in [
        ("", None),
        ("br", None),
        ("gzip, br", Some("gzip")),
        ("gzip;q=0.5, zstd;q=0.1", Some("zstd")),
        ("zstd;q=0, gzip", Some("gzip")),
        ("identity", None),
    ] {
        let answered = answer(turn(&turns).await, &taking(taken), large()).await;
        let answered = answered.unwrap();
        let encoding = answered.headers().get(CONTENT_ENCODING).cloned();
        assert_eq!(
            encoding.as_ref().map(|name| name.to_str().unwrap()),
            named,
            "{taken}"
        );
        let bytes = answered.into_body().collect().await.unwrap().to_bytes();
        let mut json = Vec::new();
        match named {
            Some("gzip") => {
                let mut reader = flate2::read::GzDecoder::new(&*bytes);
                reader.read_to_end(&mut json).unwrap();
            }
            Some(_) => json = zstd::decode_all(&*bytes).unwrap(),
            None => json = bytes.to_vec(),
        }
        let back: Vec<String> = serde_json::from_slice(&json).unwrap();
        assert_eq!(back, large(), "{taken}");
    }
}

#[tokio::test]
async fn what_is_short_says_how_long_it_is() {
    use axum::body::HttpBody as _;
    let turns = Arc::new(Semaphore::new(1));
    let answered = answer(turn(&turns).await, &HeaderMap::new(), "short").await;
    let body = answered.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(7));
}

/// The turn of an answer that nobody takes ends with it, and not before.
#[tokio::test]
async fn an_answer_has_its_turn_until_it_is_taken_or_given_up() {
    let turns = Arc::new(Semaphore::new(1));
    let answered = answer(turn(&turns).await, &HeaderMap::new(), large()).await;
    assert_eq!(turns.available_permits(), 0);
    drop(answered);
    let _again = turn(&turns).await;
}

#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_no_answer() {
    let turns = Arc::new(Semaphore::new(1));
    let keyed_by_no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
    let answered = answer(turn(&turns).await, &HeaderMap::new(), keyed_by_no_text).await;
    assert!(
        matches!(answered, Err(ApiError::Internal(_))),
        "{answered:?}"
    );
    let _again = turn(&turns).await;
}
