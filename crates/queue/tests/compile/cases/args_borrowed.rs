use longshore_queue::{Attempt, JobError, WorkerBuilder};

async fn greet(_name: &str, _attempt: Attempt) -> Result<(), JobError> {
    Ok(())
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("greet", greet)
}

fn main() {}
