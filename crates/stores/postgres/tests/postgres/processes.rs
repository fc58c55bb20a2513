//! Several processes that work on one store.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use longshore_core::Store;
use longshore_postgres::{PostgresOptions, PostgresStore};

use crate::server;
use crate::support::{claim, complete, enqueue};

const LEASE: Duration = Duration::from_secs(3600);
/// Tells a process of this binary that it is one of several, and on which store.
const STORE: &str = "LONGSHORE_TEST_STORE_OF_SEVERAL";
/// What stands before the id of each job that such a process did.
const DID: &str = "did ";

/// Does nothing unless another test has started this process for it: then runs what there is, and
/// says what it did.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the other process reads it")]
async fn one_of_several_processes() {
    let Some(url) = std::env::var_os(STORE) else {
        return;
    };
    let options = PostgresOptions::from_url(url.to_str().unwrap()).unwrap();
    let store = PostgresStore::open(options).unwrap();
    loop {
        let claimed = claim(&store, 7, LEASE).await.unwrap();
        if claimed.is_empty() {
            return;
        }
        let settled = store.settle(claimed.iter().map(complete).collect()).await;
        for (settled, claimed) in settled.unwrap().into_iter().zip(&claimed) {
            settled.unwrap();
            println!("\n{DID}{}", claimed.job.id);
        }
    }
}

#[tokio::test]
async fn each_job_is_done_by_one_of_several_processes() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let url = format!("{}?schema={}", server.url(), server::schema_of(&options));
    let store = PostgresStore::open(options).unwrap();
    let made: BTreeSet<String> = enqueue(&store, 600)
        .await
        .into_iter()
        .map(|id| id.as_str().to_owned())
        .collect();
    let start = |_| {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "processes::one_of_several_processes",
                "--exact",
                "--nocapture",
            ])
            .env(STORE, &url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..3).map(start).collect();
    let mut done = BTreeSet::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some(id) = line.strip_prefix(DID) {
                assert!(done.insert(id.to_owned()), "done twice: {id}");
            }
        }
    }
    assert_eq!(done, made);
}
