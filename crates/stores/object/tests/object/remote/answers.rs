//! What a server may answer beside doing what it was asked, and how often it is asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use longshore_core::round_trip::{self, Answer, RoundTrip, Target};
use longshore_core::{Clock, SystemClock};
use longshore_object::{Landing, Objects as _, RemoteObjects, RequestError, Version};
use longshore_testkit::s3_server::S3Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::options;

/// A server that gives these answers, one after the other, and the last again and again; and how
/// many requests it got.
async fn scripted(answers: Vec<(u16, &'static str)>) -> (RemoteObjects, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let number = count.fetch_add(1, Ordering::SeqCst);
            let (status, code) = answers[number.min(answers.len() - 1)];
            let body = match code {
                "" => String::new(),
                code => format!("<Error><Code>{code}</Code><Message>as told</Message></Error>"),
            };
            let answer = format!(
                "HTTP/1.1 {status} x\r\netag: \"one\"\r\ndate: Sun, 22 Nov 2026 04:52:20 GMT\r\n\
                 last-modified: Sun, 22 Nov 2026 04:52:20 GMT\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _told = stream.write_all(answer.as_bytes()).await;
            let _closed = stream.shutdown().await;
        }
    });
    let options = options(&address, "x").with_patience(Duration::from_secs(5));
    (RemoteObjects::new(&options).unwrap(), asked)
}

/// What comes of a create and of a replace, and how many requests each took.
async fn written(answers: &[(u16, &'static str)]) -> [(Result<Landing, RequestError>, usize); 2] {
    let (remote, asked) = scripted(answers.to_vec()).await;
    let created = remote.create("root", Bytes::from_static(b"x")).await;
    let creates = asked.load(Ordering::SeqCst);
    let (remote, asked) = scripted(answers.to_vec()).await;
    let version = Version {
        e_tag: Some("\"one\"".to_owned()),
        number: None,
    };
    let replaced = remote
        .replace("root", Bytes::from_static(b"x"), &version)
        .await;
    [(created, creates), (replaced, asked.load(Ordering::SeqCst))]
}

#[tokio::test]
async fn what_a_write_came_to_is_told_apart() {
    let landed =
        |landing: &Result<Landing, RequestError>| matches!(landing, Ok(Landing::Landed(_)));
    for (answers, meant) in [
        (&[(200, "")][..], "landed 1, landed 1"),
        (&[(412, "PreconditionFailed")], "refused 1, refused 1"),
        // A race that nobody has won: a create is sent again, a replace needs a look.
        (
            &[(409, "ConditionalRequestConflict"), (200, "")],
            "landed 2, refused 1",
        ),
        // What was to be replaced is gone; what was to be created has no bucket.
        (&[(404, "NoSuchKey")], "denied 1, refused 1"),
        (&[(404, "NoSuchBucket")], "denied 1, denied 1"),
        (&[(403, "AccessDenied")], "denied 1, denied 1"),
        // Too much to do: again, a few times.
        (
            &[(503, "SlowDown"), (503, "SlowDown"), (200, "")],
            "landed 3, landed 3",
        ),
        (&[(503, "SlowDown")], "unknown 5, unknown 5"),
        // It may have landed: whoever sent it looks.
        (&[(500, "InternalError"), (200, "")], "unknown 1, unknown 1"),
        (&[(502, "")], "unknown 1, unknown 1"),
    ] {
        let told = written(answers).await.map(|(landing, requests)| {
            let word = match &landing {
                landing if landed(landing) => "landed",
                Ok(Landing::Unknown) => "unknown",
                Ok(_) => "refused",
                Err(RequestError::Refused { .. }) => "denied",
                Err(RequestError::Unavailable { .. }) => "unavailable",
            };
            format!("{word} {requests}")
        });
        assert_eq!(told.join(", "), meant, "{answers:?}");
    }
}

#[tokio::test]
async fn a_read_is_sent_again_a_few_times() {
    let (remote, asked) = scripted(vec![(500, "InternalError"), (503, ""), (200, "")]).await;
    assert!(matches!(remote.get("root").await, Ok(Some(_))));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let requests = remote.requests();
    assert_eq!((requests.get, requests.all()), (3, 3));

    let (remote, asked) = scripted(vec![(500, "InternalError")]).await;
    let error = remote.get("root").await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, RequestError::Unavailable { .. }), "{said}");
    assert!(said.contains("status 500 InternalError: as told"), "{said}");
    assert_eq!(asked.load(Ordering::SeqCst), 5);

    let (remote, _) = scripted(vec![(404, "NoSuchKey")]).await;
    assert!(matches!(remote.get("root").await, Ok(None)));
    assert!(remote.delete("root").await.is_ok());
}

#[tokio::test]
async fn the_servers_time_is_read_off_its_answers() {
    let (remote, _) = scripted(vec![(200, "")]).await;
    assert!(
        remote.bounds().error() >= Duration::from_secs(60),
        "nobody has said"
    );
    let _found = remote.get("root").await;
    let bounds = remote.bounds();
    assert!(bounds.error() < Duration::from_secs(10), "{bounds:?}");
    assert!(bounds.least.unix_millis() >= 1_795_323_140_000);
}

/// What is noted of the requests for an object, the answers being these.
async fn noted(answers: &[(u16, &'static str)]) -> Vec<Answer> {
    let (remote, _) = scripted(answers.to_vec()).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let got = Box::pin(async {
        let _whatever = remote.get("root").await;
        round_trip::take()
    });
    let noted = round_trip::watch(Some(&clock), got).await;
    let of_one = |trip: RoundTrip| {
        let asked = (trip.operation, trip.target);
        assert_eq!(asked, ("GetObject", Target::Object("x/root".to_owned())));
        let server = (trip.server.system, trip.server.namespace.as_deref());
        assert_eq!(server, ("aws.s3", Some(S3Server::BUCKET)));
        assert_eq!(trip.server.address.as_deref(), Some("127.0.0.1"));
        assert!(trip.server.port.is_some(), "{:?}", trip.server);
        trip.answer
    };
    noted.list.into_iter().map(of_one).collect()
}

/// That nothing is there, or that somebody was first, is what the store asks for; all else is told
/// with the status.
#[tokio::test]
async fn each_answer_is_told_of_its_request() {
    let there = noted(&[(500, "InternalError"), (503, "SlowDown"), (200, "")]);
    let told = [Answer::code("500"), Answer::code("503"), Answer::Good];
    assert_eq!(there.await, told);
    assert_eq!(noted(&[(404, "NoSuchKey")]).await, [Answer::Refused]);
    let refused = [(412, "PreconditionFailed")];
    assert_eq!(noted(&refused).await, [Answer::Refused]);
    let first = [(409, "ConditionalRequestConflict"), (200, "")];
    assert_eq!(noted(&first).await, [Answer::Refused, Answer::Good]);
    assert_eq!(noted(&[(403, "AccessDenied")]).await, [Answer::code("403")]);
    // Whoever reads so cuts the line before it has said anything.
    let silent = noted(&[(0, "")]).await;
    assert_eq!(silent.first(), Some(&Answer::failed("no_answer")));
}
