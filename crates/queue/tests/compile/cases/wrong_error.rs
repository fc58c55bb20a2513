use longshore_queue::{Attempt, WorkerBuilder};

async fn greet(_name: String, _attempt: Attempt) -> Result<(), u32> {
    Err(7)
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("greet", greet)
}

fn main() {}
