use longshore_queue::{Attempt, JobError, WorkerBuilder};

async fn greet(_pool: u32, _name: String, _attempt: Attempt) -> Result<(), JobError> {
    Ok(())
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler_with("greet", "a pool".to_owned(), greet)
}

fn main() {}
