use longshore_queue::{Attempt, JobError, WorkerBuilder};

struct Welcome {
    _name: String,
}

async fn greet(_args: Welcome, _attempt: Attempt) -> Result<(), JobError> {
    Ok(())
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("greet", greet)
}

fn main() {}
