//! Which servers are taken, and which are refused with a reason.

use longshore_core::{ErrorKind, Severity, Store as _, SystemRandom};
use longshore_object::Root;
use longshore_testkit::s3_server::{S3Program, S3Server};

use super::{options, store};

#[tokio::test]
async fn a_server_that_heeds_conditions_is_tried_once() {
    for program in [S3Program::Ministack, S3Program::Moto] {
        let Some(server) = S3Server::start(program) else {
            return;
        };
        let first = store(&server, "shop");
        first.queue_stats().await.unwrap();
        let took = first.requests();
        assert!((20..50).contains(&took.all()), "{took:?}");
        // What was found is remembered with the store.
        let second = store(&server, "shop");
        second.read_document("none").await.unwrap();
        let took = second.requests();
        assert_eq!((took.put, took.get, took.list, took.delete), (0, 3, 0, 0));
        let found = second.examine().await;
        assert_eq!(found.complaints, []);
        assert!(found.requests.all() < 50, "{found:?}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_conditions_is_refused() {
    let Some(server) = S3Server::start(S3Program::Rclone) else {
        return;
    };
    let store = store(&server, "shop");
    let refused = store.queue_stats().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let said = refused.to_string();
    let address = server.address();
    assert!(
        said.contains("ignores `If-None-Match: *`") && said.contains(&address),
        "{said}"
    );
    let found = store.examine().await;
    assert_eq!(found.complaints[0].severity, Severity::Problem);
    assert!(found.complaints[0].message.contains("ignores"), "{found:?}");
}

#[tokio::test]
async fn a_store_that_was_copied_is_refused() {
    use longshore_core::Timestamp;
    use longshore_object::{Landing, Objects as _, RemoteObjects};
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let long_ago = Root {
        written_at: Some(Timestamp::from_unix_millis(1_700_000_000_000)),
        ..Root::new(&SystemRandom)
    };
    let objects = RemoteObjects::new(&options(&server.address(), "copy")).unwrap();
    let made = objects.create("root", long_ago.encode().unwrap()).await;
    assert!(matches!(made, Ok(Landing::Landed(_))), "{made:?}");
    let refused = store(&server, "copy").queue_stats().await.unwrap_err();
    assert!(refused.to_string().contains("copied"), "{refused}");
}

#[tokio::test]
async fn what_is_not_there_is_said_so_without_secrets() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let url = "s3://nowhere/shop?secret_access_key=hush";
    let nowhere = longshore_object::ObjectOptions::from_url(url).unwrap();
    let nowhere = nowhere.with_variables(server.variables());
    let nowhere = longshore_object::RemoteStore::open(&nowhere).unwrap();
    let refused = nowhere.queue_stats().await.unwrap_err();
    let said = format!("{refused} {refused:?} {nowhere:?}");
    assert!(
        said.contains("NoSuchBucket") && said.contains("s3://nowhere/shop"),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");
    let found = nowhere.examine().await;
    let [one] = &found.complaints[..] else {
        panic!("{found:?}");
    };
    assert!(one.remedy.contains("create-bucket"), "{found:?}");

    let address = server.address();
    drop(server);
    let gone = longshore_object::RemoteStore::open(&options(&address, "x")).unwrap();
    let refused = gone.queue_stats().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.to_string().contains(&address), "{refused}");
    let found = gone.examine().await;
    assert!(
        found.complaints[0].message.contains("did not answer"),
        "{found:?}"
    );
}
