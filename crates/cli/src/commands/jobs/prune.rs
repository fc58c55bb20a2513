//! `longshore jobs prune`: deletes jobs that are over.

use anyhow::Context as _;
use longshore_core::JobState;
use longshore_queue::{PrunePolicy, PruneRule};

use crate::args::Prune;
use crate::exit::{Exit, Usage};
use crate::record::admin::{PrunedJson, PrunedStates};
use crate::session::Session;
use crate::text;

pub(super) async fn run(session: &Session<'_>, args: Prune) -> anyhow::Result<Exit> {
    let output = session.output;
    let policy = policy(session, &args)?;
    let admin = session.desk(&args.caller)?.admin();
    if args.dry_run || (output.shows_progress() && !args.yes) {
        let counts = admin
            .prunable(&policy, |looked| {
                output.progress(&format!("{} looked at so far", text::jobs(looked)));
            })
            .await;
        output.end_progress();
        let counts = counts?;
        let jobs = counts.iter().map(|(_, jobs)| jobs).sum();
        if args.dry_run || jobs > 1 {
            show(session, &counts, jobs, args.json && args.dry_run)?;
        }
        if args.dry_run {
            say_what_stays(session, &policy)?;
            return Ok(Exit::Done);
        }
        if jobs > 1 {
            return Err(Usage("add --yes to delete them for good".to_owned()).into());
        }
    }
    let mut last = 0;
    let pruned = admin
        .prune(&policy, |pruned| {
            last = pruned;
            output.progress(&format!("{} deleted", text::jobs(pruned)));
        })
        .await;
    output.end_progress();
    let jobs = pruned.with_context(|| {
        let done = text::jobs(last);
        format!("stopped after {done} were deleted; the same command does the rest")
    })?;
    if args.json {
        output.json(&PrunedJson {
            dry_run: false,
            jobs,
            states: None,
        })?;
    } else {
        output.data(&format!("{} deleted", text::jobs(jobs)))?;
    }
    say_what_stays(session, &policy)?;
    Ok(Exit::Done)
}

/// Says so if jobs stay that the policy would let go, since their store cannot delete them yet.
fn say_what_stays(session: &Session<'_>, policy: &PrunePolicy) -> anyhow::Result<()> {
    let keeps = session.store()?.info().keeps_over_for;
    let lets_go_sooner = |rule: &PruneRule| match rule.after {
        Some(after) => after < keeps,
        None => rule.keep.is_some(),
    };
    let rules = [&policy.completed, &policy.cancelled, &policy.discarded];
    if !keeps.is_zero() && rules.into_iter().any(lets_go_sooner) {
        session.output.talk(&format!(
            "This store keeps each job for {} after it is over, whatever is asked for.",
            text::duration(keeps)
        ));
    }
    Ok(())
}

fn show(
    session: &Session<'_>,
    counts: &[(JobState, u64)],
    jobs: u64,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        let of = |wanted| {
            let found = counts.iter().find(|(state, _)| *state == wanted);
            found.map_or(0, |(_, jobs)| *jobs)
        };
        return session.output.json(&PrunedJson {
            dry_run: true,
            jobs,
            states: Some(PrunedStates {
                completed: of(JobState::Completed),
                cancelled: of(JobState::Cancelled),
                discarded: of(JobState::Discarded),
            }),
        });
    }
    for (state, jobs) in counts {
        let jobs = text::number(*jobs);
        session
            .output
            .data(&format!("{:<10} {jobs:>12}", state.as_str()))?;
    }
    let jobs = text::jobs(jobs);
    session
        .output
        .talk(&format!("This would delete {jobs}. Nothing was changed."));
    Ok(())
}

/// What the command line says, else what the settings do.
fn policy(session: &Session<'_>, args: &Prune) -> anyhow::Result<PrunePolicy> {
    if let Some(state) = args.states.iter().find(|state| !state.is_final()) {
        return Err(Usage(format!(
            "jobs that are {state} are not over and stay: use completed, cancelled or discarded"
        ))
        .into());
    }
    let said = PruneRule {
        after: args.older_than,
        keep: args.keep,
    };
    let settings = session.prune_policy()?;
    let rule = |state, of_settings| {
        if !args.states.is_empty() && !args.states.contains(&state) {
            PruneRule::default()
        } else if said == PruneRule::default() {
            of_settings
        } else {
            said
        }
    };
    Ok(PrunePolicy {
        completed: rule(JobState::Completed, settings.completed),
        cancelled: rule(JobState::Cancelled, settings.cancelled),
        discarded: rule(JobState::Discarded, settings.discarded),
    })
}
