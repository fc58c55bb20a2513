use longshore_queue::{JobError, WorkerBuilder};

async fn greet(_name: String) -> Result<(), JobError> {
    Ok(())
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("greet", greet)
}

fn main() {}
