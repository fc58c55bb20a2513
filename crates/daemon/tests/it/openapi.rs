//! The OpenAPI document as others read it: openapi-spec-validator finds it valid, and Schemathesis,
//! which asks whatever the document allows and more, finds no error of the server and no answer that
//! the document does not describe. `.ci/run` installs both; `LONGSHORE_OPENAPI` names the folder of
//! their programs elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longshore_api::Backend as _;
use longshore_api::job::Enqueue;

use crate::daemon::Daemon;
use crate::otlp::bed::Folder;
use crate::traced::Shop;

/// A program of the folder that the variable names. Without it the test says so and is skipped, but
/// not in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn program(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LONGSHORE_OPENAPI").map(PathBuf::from);
    let there = folder
        .map(|folder| folder.join(name))
        .filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have LONGSHORE_OPENAPI");
    if there.is_none() {
        eprintln!("skipped: LONGSHORE_OPENAPI names no folder with {name}");
    }
    there
}

async fn run(program: PathBuf, arguments: Vec<String>, folder: &Path) {
    let folder = folder.to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let ended = ended.await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let complained = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}\n{complained}");
}

#[tokio::test]
async fn a_validator_accepts_the_document() {
    let Some(validator) = program("openapi-spec-validator") else {
        return;
    };
    let daemon = Daemon::start().await;
    let document = daemon.get("/api/openapi.json").await.text;
    let folder = Folder::new();
    let file = folder.0.join("openapi.json");
    std::fs::write(&file, document).unwrap();
    run(validator, vec![file.display().to_string()], &folder.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_is_answered_as_the_document_says() {
    let Some(schemathesis) = program("schemathesis") else {
        return;
    };
    let shop = Shop::open().await;
    shop.send("order-1", "0af7651916cd43dd8448eb211c80319c")
        .await;
    shop.run().await;
    let folder = Folder::new();
    let url = format!("{}/api/openapi.json", shop.daemon.url());
    let checks = "not_a_server_error,response_schema_conformance,status_code_conformance,\
                  content_type_conformance,response_headers_conformance";
    let arguments = [
        "run",
        url.as_str(),
        "--checks",
        checks,
        // It never ends.
        "--exclude-operation-id",
        "live",
        "--max-examples",
        "6",
        "--seed",
        "1",
        "--generation-deterministic",
        "--suppress-health-check",
        "all",
        "--continue-on-failure",
        "--no-color",
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    run(schemathesis, arguments, &folder.0).await;
    // The daemon works as before.
    let job = Enqueue {
        queue: "mail".to_owned(),
        kind: "welcome".to_owned(),
        ..Enqueue::default()
    };
    let answers = shop.daemon.client(None).enqueue(&[job]).await.unwrap();
    assert!(answers[0].is_ok());
}
