use std::io::Read as _;

use axum::http::header::ACCEPT_ENCODING;
use http_body_util::BodyExt as _;

use super::*;
use crate::memory::Memory;

async fn share(memory: &Memory) -> Share {
    memory.share(0).await.unwrap()
}

/// What is made at once.
async fn made<T>(value: T) -> Result<T, ApiError> {
    Ok(value)
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
    let memory = Memory::default();
    for (taken, named) in [
        ("", None),
        ("br", None),
        ("gzip, br", Some("gzip")),
        ("gzip;q=0.5, zstd;q=0.1", Some("zstd")),
        ("zstd;q=0, gzip", Some("gzip")),
        ("identity", None),
    ] {
        let answered = answer(share(&memory).await, &taking(taken), 0, made(large())).await;
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
    let share = share(&Memory::default()).await;
    let answered = answer(share, &HeaderMap::new(), 0, made("short")).await;
    let body = answered.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(7));
}

/// Waits until all that was set aside is given back.
async fn all_given_back(memory: &Memory) {
    while memory.counted().bytes > 0 {
        tokio::task::yield_now().await;
    }
}

/// The share of an answer that nobody takes ends with it, and not before.
#[tokio::test]
async fn an_answer_has_its_share_until_it_is_taken_or_given_up() {
    let memory = Memory::default();
    let of_answer = share(&memory).await;
    let answered = answer(of_answer, &HeaderMap::new(), 0, made(large())).await;
    assert!(memory.counted().bytes > 0);
    drop(answered);
    all_given_back(&memory).await;
}

#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_no_answer() {
    let memory = Memory::default();
    let keyed_by_no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
    let of_answer = share(&memory).await;
    let answered = answer(of_answer, &HeaderMap::new(), 0, made(keyed_by_no_text)).await;
    assert!(
        matches!(answered, Err(ApiError::Internal(_))),
        "{answered:?}"
    );
    all_given_back(&memory).await;
}

#[tokio::test]
async fn what_cannot_be_made_is_said_as_what_it_is() {
    let of_answer = share(&Memory::default()).await;
    let gone = async { Err::<u8, _>(ApiError::NotFound("gone".to_owned())) };
    let answered = answer(of_answer, &HeaderMap::new(), 0, gone).await;
    assert!(
        matches!(answered, Err(ApiError::NotFound(_))),
        "{answered:?}"
    );
}

/// Two signs come before anything is made, and JSON after them, packed or not. Time goes on by itself
/// while nothing else happens.
#[tokio::test(start_paused = true)]
async fn as_long_as_something_is_made_it_is_seen_that_it_goes_on() {
    for taken in ["", "gzip", "zstd"] {
        let (say, said) = tokio::sync::oneshot::channel();
        let of_answer = share(&Memory::default()).await;
        let making = async move { Ok(said.await.unwrap_or(0)) };
        let answered = answer(of_answer, &taking(taken), 0, making).await;
        let mut body = answered.unwrap().into_body();
        let mut bytes = body
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .to_vec();
        assert!(!bytes.is_empty());
        say.send(7).unwrap();
        bytes.extend(body.collect().await.unwrap().to_bytes());
        let json = match taken {
            "gzip" => {
                let mut json = Vec::new();
                let mut reader = flate2::read::GzDecoder::new(&*bytes);
                reader.read_to_end(&mut json).unwrap();
                json
            }
            "zstd" => zstd::decode_all(&*bytes).unwrap(),
            _ => bytes,
        };
        assert!(json.starts_with(b"\n"), "{taken}: {json:?}");
        assert_eq!(serde_json::from_slice::<u8>(&json).unwrap(), 7, "{taken}");
    }
}

/// Whoever reads knows then that it has not all of it.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_after_all_breaks_the_answer_off() {
    let (say, said) = tokio::sync::oneshot::channel();
    let memory = Memory::default();
    let of_answer = share(&memory).await;
    let making = async move {
        let _said = said.await;
        Err::<u8, _>(ApiError::Unavailable("away".to_owned()))
    };
    let answered = answer(of_answer, &HeaderMap::new(), 0, making).await;
    let body = answered.unwrap().into_body();
    say.send(()).unwrap();
    assert!(body.collect().await.is_err());
    all_given_back(&memory).await;
}
