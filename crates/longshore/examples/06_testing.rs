//! Testing a handler: one attempt, its outcome, its children and its trace.
//!
//! `cargo run --example 06_testing` prints what a test would assert on.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use longshore::testing::run_job;
use longshore::{Attempt, AttemptOutcome, JobError, JobRequest};

async fn sign_up(email: String, attempt: Attempt) -> Result<(), JobError> {
    if !email.contains('@') {
        return Err(JobError::discard("invalid_email", "an address has an @"));
    }
    let welcome = JobRequest::new("mail", "welcome").args(&email);
    attempt.enqueue(welcome).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let request = JobRequest::new("users", "sign_up").args("ann@example.org");
    let run = run_job(sign_up, request).await?;
    assert_eq!(run.attempt.outcome, AttemptOutcome::Completed);
    assert_eq!(run.children.len(), 1);
    println!("{}", run.tree());

    let request = JobRequest::new("users", "sign_up").args("ann");
    let run = run_job(sign_up, request).await?;
    assert_eq!(run.attempt.outcome, AttemptOutcome::Discarded);
    println!("{}", run.tree());
    Ok(())
}
