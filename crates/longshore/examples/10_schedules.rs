//! Jobs again and again.
//!
//! `cargo run --example 10_schedules` adds two schedules, runs a worker for two seconds, and prints
//! what fired and for which tick, and when the slower one fires next.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use longshore::{Attempt, JobError, Producer, Schedule, Schedules, Worker, connect};

async fn tidy(what: String, attempt: Attempt) -> Result<(), JobError> {
    // The time this run stands for, however late it comes.
    if let Some(tick) = attempt.tick() {
        println!("tidied {what} for {tick}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let schedules = Schedules::new(Producer::new(store.clone()));
    let of = |name: &str, timetable: &str| -> Result<Schedule, Box<dyn std::error::Error>> {
        let (queue, kind) = ("chores".parse()?, "tidy".parse()?);
        let schedule = Schedule::new(name.parse()?, timetable.parse()?, queue, kind);
        Ok(Schedule {
            args: format!("{name:?}"),
            ..schedule
        })
    };

    schedules.put(of("desk", "@every 1s")?).await?;
    let cellar = Schedule {
        zone: "Europe/Berlin".parse()?,
        ..of("cellar", "30 2 * * SUN")?
    };
    schedules.put(cellar.clone()).await?;
    // Every process may say so when it starts; what is there already stays as it is.
    let again = schedules.put(cellar).await?;
    println!("the second time: {again:?}");

    Worker::builder(store)
        .queue("chores")
        .handler("tidy", tidy)
        .build()?
        .run(tokio::time::sleep(Duration::from_millis(2500)))
        .await?;

    for scheduled in schedules.list().await? {
        let (schedule, standing) = (&scheduled.schedule, &scheduled.standing);
        let next = scheduled
            .upcoming(1)
            .first()
            .map(|tick| schedule.zone.show(*tick));
        let next = next.unwrap_or_default();
        println!(
            "{} fired {} times; next at {next}",
            schedule.name, standing.fired
        );
    }
    Ok(())
}
