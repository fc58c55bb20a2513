//! The args of a job, as handlers get them.

use std::collections::BTreeMap;

use longshore::testing::run_job;
use longshore::{Attempt, JobError, JobRequest};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Body {
    Mail { to: String, copies: Option<u8> },
    Numbers(Vec<f64>),
    Pairs(BTreeMap<String, Body>),
    Any(serde_json::Value),
}

async fn echo(args: Body, _attempt: Attempt) -> Result<Body, JobError> {
    Ok(args)
}

/// A handler's args: it gets them, or the job is discarded with a class and a bounded message.
pub fn args(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let request = JobRequest::new("q", "echo").raw_args(data.to_vec());
    let run = runtime.unwrap().block_on(run_job(echo, request)).unwrap();
    assert_eq!(&*run.job.args, data);
    if let Some(error) = &run.attempt.error {
        assert!(["invalid_args", "invalid_result"].contains(&&*error.class));
        assert!(error.message.len() <= 8192);
        assert!(serde_json::from_slice::<Body>(data).is_err());
    }
}
