use longshore_queue::{Attempt, WorkerBuilder};

async fn greet(name: String, _attempt: Attempt) -> String {
    name
}

fn register(builder: WorkerBuilder) -> WorkerBuilder {
    builder.handler("greet", greet)
}

fn main() {}
