//! Every order in which the requests of several processes can reach the server, with requests that
//! are lost or late, processes that crash, and leases that end while their holder lives.
//!
//! A run is a list of choices. Runs are repeated from the start with the next list, until there is
//! none; a run that comes to a state that was seen before ends there.

use std::collections::HashSet;
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use longshore_core::{Clock as _, Random as _};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::server::{Fate, Gate, Server};

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Answers that are lost: of requests that land, that never do, or that do later.
    pub(crate) lost: u8,
    /// Processes that stop between two requests.
    pub(crate) crashes: u8,
    /// Leases that end.
    pub(crate) expiries: u8,
    /// Reads that are not answered.
    pub(crate) unread: u8,
    /// Times that more passes than a request can take.
    pub(crate) waits: u8,
}

/// A process: what it does, and where it waits before each request.
pub(crate) struct Process {
    pub(crate) gate: Arc<Gate>,
    pub(crate) script: Pin<Box<dyn Future<Output = ()>>>,
}

impl Process {
    /// Goes on for so many requests, each of them answered, and stops; whether it had ended.
    pub(crate) fn stop_after(self, requests: usize) -> bool {
        let gate = Arc::clone(&self.gate);
        let mut process = Some(self);
        proceed(&mut process);
        for _ in 0..requests {
            gate.open(Fate::Answered);
            proceed(&mut process);
        }
        process.is_none()
    }
}

/// What is explored.
pub(crate) trait World {
    fn server(&self) -> &Server;
    fn clock(&self) -> &ManualClock;
    fn processes(&mut self) -> Vec<Process>;
    /// What must hold after every request.
    fn check(&self) -> Result<(), String>;
    /// Brings all to an end, without faults, and says what is wrong then.
    fn finish(&self) -> Result<(), String>;
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Go(usize, Fate),
    Crash(usize),
    Land(usize),
    Expire,
    Wait,
}

/// The choices of a run: which one was taken, of how many.
#[derive(Debug, Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
    /// Chooses by chance, instead of everything in its turn.
    chance: Option<SeededRandom>,
}

impl Choices {
    fn is_new(&self) -> bool {
        self.chance.is_none() && self.at >= self.taken.len()
    }

    fn choose(&mut self, of: usize) -> usize {
        if let Some(chance) = &self.chance {
            return usize::try_from(chance.next_u64() % (of as u64)).unwrap();
        }
        if self.is_new() {
            self.taken.push((0, of));
        }
        let (taken, expected) = self.taken[self.at];
        assert_eq!(expected, of, "a run is not the same the second time");
        self.at += 1;
        taken
    }

    /// The next list in order; `false` if this was the last.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((taken, of)) = self.taken.pop() {
            if taken + 1 < of {
                self.taken.push((taken + 1, of));
                return true;
            }
        }
        false
    }
}

/// What an exploration was like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Explored {
    pub(crate) runs: usize,
    pub(crate) states: usize,
}

/// Explores everything; the first thing that is wrong, with the steps that led to it.
pub(crate) fn explore<W: World>(faults: Faults, world: impl Fn() -> W) -> Result<Explored, String> {
    let mut choices = Choices::default();
    let mut states = HashSet::new();
    let mut runs = 0;
    loop {
        runs += 1;
        let mut steps = Vec::new();
        let run = run(&mut world(), faults, &mut choices, &mut states, &mut steps);
        run.map_err(|wrong| format!("{wrong}\nafter {steps:?}"))?;
        if !choices.advance() {
            let states = states.len();
            return Ok(Explored { runs, states });
        }
    }
}

/// Runs by chance, one for each of so many seeds: long cases, of which not all can be explored.
pub(crate) fn wander<W: World>(
    faults: Faults,
    seeds: u64,
    world: impl Fn() -> W,
) -> Result<(), String> {
    for seed in 0..seeds {
        let mut choices = Choices {
            chance: Some(SeededRandom::new(seed)),
            ..Choices::default()
        };
        let mut steps = Vec::new();
        let states = &mut HashSet::new();
        let run = run(&mut world(), faults, &mut choices, states, &mut steps);
        run.map_err(|wrong| format!("seed {seed}: {wrong}\nafter {steps:?}"))?;
    }
    Ok(())
}

fn run<W: World>(
    world: &mut W,
    mut faults: Faults,
    choices: &mut Choices,
    states: &mut HashSet<u64>,
    steps: &mut Vec<Step>,
) -> Result<(), String> {
    let mut processes: Vec<Option<Process>> = world.processes().into_iter().map(Some).collect();
    let gates = processes
        .iter()
        .flatten()
        .map(|process| process.gate.clone());
    let gates: Vec<Arc<Gate>> = gates.collect();
    loop {
        for process in &mut processes {
            proceed(process);
        }
        world.check()?;
        let options = options(world, &processes, faults);
        if choices.is_new() && !states.insert(state(world, &processes, &gates, faults)) {
            return Ok(());
        }
        if options.is_empty() {
            return world.finish();
        }
        let step = options[choices.choose(options.len())];
        steps.push(step);
        match step {
            Step::Go(at, fate) => {
                if let Some(process) = &processes[at] {
                    let is_write = process.gate.waiting() == Some(true);
                    let is_fault = u8::from(fate != Fate::Answered);
                    faults.lost -= if is_write { is_fault } else { 0 };
                    faults.unread -= if is_write { 0 } else { is_fault };
                    process.gate.open(fate);
                }
            }
            Step::Crash(at) => {
                faults.crashes -= 1;
                processes[at] = None;
            }
            Step::Land(at) => {
                let write = world.server().late().remove(at);
                world.server().apply(&write);
            }
            Step::Expire => {
                faults.expiries -= 1;
                world.clock().advance(Duration::from_secs(31));
            }
            Step::Wait => {
                faults.waits -= 1;
                world.clock().advance(Duration::from_secs(80 * 60));
            }
        }
    }
}

fn proceed(process: &mut Option<Process>) {
    let Some(running) = process else {
        return;
    };
    if running.gate.waiting().is_some() {
        return;
    }
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(()) = running.script.as_mut().poll(&mut context) {
        *process = None;
    }
}

fn options<W: World>(world: &W, processes: &[Option<Process>], faults: Faults) -> Vec<Step> {
    let mut options = Vec::new();
    for (at, process) in processes.iter().enumerate() {
        let Some(is_write) = process.as_ref().and_then(|process| process.gate.waiting()) else {
            continue;
        };
        options.push(Step::Go(at, Fate::Answered));
        if is_write && faults.lost > 0 {
            let lost = [Fate::Unanswered, Fate::Swallowed, Fate::Late];
            options.extend(lost.map(|fate| Step::Go(at, fate)));
        }
        if !is_write && faults.unread > 0 {
            options.push(Step::Go(at, Fate::Swallowed));
        }
        if faults.crashes > 0 {
            options.push(Step::Crash(at));
        }
    }
    options.extend((0..world.server().late().len()).map(Step::Land));
    if faults.expiries > 0 && !options.is_empty() {
        options.push(Step::Expire);
    }
    if faults.waits > 0 && !options.is_empty() {
        options.push(Step::Wait);
    }
    options
}

/// A hash of all that decides what can still happen.
fn state<W: World>(
    world: &W,
    processes: &[Option<Process>],
    gates: &[Arc<Gate>],
    faults: Faults,
) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (world.server().state(), world.clock().now(), faults).hash(&mut hasher);
    for (process, gate) in processes.iter().zip(gates) {
        // What a process that is over told its caller follows from what it saw too.
        (process.is_some(), gate.seen()).hash(&mut hasher);
    }
    hasher.finish()
}

/// What a future gives that never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing is to wait here"),
    }
}
