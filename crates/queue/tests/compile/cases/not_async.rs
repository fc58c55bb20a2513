use longshore_queue::{Attempt, JobError, WorkerBuilder};

fn greet(_name: String, _attempt: Attempt) -> Result<(), JobError> {
    Ok(())
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("greet", greet)
}

fn main() {}
