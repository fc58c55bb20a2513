use std::future::{Ready, ready};
use std::io::Read as _;

use axum::http::header::ACCEPT_ENCODING;
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use super::*;
use crate::memory::Memory;

async fn share(memory: &Memory) -> Share {
    memory.share(0).await.unwrap()
}

/// What is made at once.
fn made<T>(value: T) -> Ready<Result<T, ApiError>> {
    ready(Ok(value))
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

/// What is made once somebody says so, with a sign of it each millisecond, and who may say so.
async fn slow(
    memory: &Memory,
    headers: &HeaderMap,
) -> (oneshot::Sender<Result<Vec<String>, ApiError>>, Response) {
    let (say, said) = oneshot::channel();
    let making = async move { said.await.unwrap() };
    let sign = Duration::from_millis(1);
    let answered = answer_with_signs(sign, share(memory).await, headers, 0, making);
    (say, answered.await.unwrap())
}

/// The next piece of a body.
async fn piece(body: &mut Body) -> Result<Bytes, axum::Error> {
    let frame = body.frame().await.unwrap();
    frame.map(|frame| frame.into_data().unwrap())
}

#[tokio::test]
async fn signs_of_an_answer_come_while_it_is_being_made_and_are_no_part_of_it() {
    let memory = Memory::default();
    let (say, answered) = slow(&memory, &HeaderMap::new()).await;
    let mut body = answered.into_body();
    for _sign in 0..5 {
        assert_eq!(*piece(&mut body).await.unwrap(), *b"\n");
    }
    assert!(memory.counted().bytes > 0, "it is being made in its share");
    say.send(Ok(large())).unwrap();
    let rest = body.collect().await.unwrap().to_bytes();
    let back: Vec<String> = serde_json::from_slice(&rest).unwrap();
    assert_eq!(back, large());
    all_given_back(&memory).await;
}

#[tokio::test]
async fn signs_go_out_through_what_packs_the_answer() {
    let memory = Memory::default();
    let (say, answered) = slow(&memory, &taking("gzip")).await;
    let mut body = answered.into_body();
    let mut packed = Vec::new();
    for _sign in 0..5 {
        packed.extend_from_slice(&piece(&mut body).await.unwrap());
    }
    // The other end can unpack them as they come.
    let mut reader = flate2::read::GzDecoder::new(&*packed);
    let mut signs = [0; 5];
    reader.read_exact(&mut signs).unwrap();
    assert_eq!(signs, *b"\n\n\n\n\n");
    say.send(Ok(large())).unwrap();
    packed.extend_from_slice(&body.collect().await.unwrap().to_bytes());
    let mut json = String::new();
    let mut reader = flate2::read::GzDecoder::new(&*packed);
    reader.read_to_string(&mut json).unwrap();
    let back: Vec<String> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, large());
}

#[tokio::test]
async fn an_answer_that_cannot_be_made_after_all_breaks_off() {
    let memory = Memory::default();
    let (say, answered) = slow(&memory, &HeaderMap::new()).await;
    say.send(Err(ApiError::NotFound("gone".to_owned())))
        .unwrap();
    let broken = answered.into_body().collect().await;
    assert!(broken.is_err(), "half an answer would pass for a whole one");
    all_given_back(&memory).await;
}

#[tokio::test]
async fn whoever_stops_to_listen_ends_the_making() {
    let memory = Memory::default();
    let (mut say, answered) = slow(&memory, &HeaderMap::new()).await;
    drop(answered);
    say.closed().await;
    all_given_back(&memory).await;
}
