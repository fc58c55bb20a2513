//! Tenants that take turns.

use std::collections::{BTreeMap, VecDeque};

use longshore_core::{Allowance, Spread, StoreError};

use crate::claim::choice::Ask;
use crate::claim::line::{Line, Whose};
use crate::claim::merge::Merge;
use crate::claim::walk::{Walk, lines};

/// Most due jobs of tenants that a claim sorts by tenant. If there are more, it goes from tenant to
/// tenant through the index, where also those stand who have nothing due.
const FEW: usize = 256;

/// The seqs of the jobs that fill the slots, in the order of the slots.
pub(super) fn choose<'a>(ask: &Ask<'a>, spread: &Spread) -> Result<Vec<i64>, StoreError> {
    let mut allowance = Allowance::new(&ask.request.quotas);
    let mut chosen = Vec::with_capacity(ask.limit.min(64));
    let mut round = Round::new(ask, spread, &allowance)?;
    let mut again: VecDeque<Merge<'a>> = VecDeque::new();
    loop {
        let tenant = match round.next(ask, &allowance)? {
            Some(tenant) => Some(tenant),
            None => again.pop_front(),
        };
        let Some(mut tenant) = tenant else {
            return Ok(chosen);
        };
        let mut left = spread.each.max(1);
        while left > 0
            && let Some(seq) = tenant.take(ask, chosen.len(), &mut allowance)?
        {
            chosen.push(seq);
            left -= 1;
            if chosen.len() == ask.limit {
                return Ok(chosen);
            }
        }
        if left == 0 {
            again.push_back(tenant);
        }
    }
}

/// The first round of turns: what each tenant has due. Tenants are looked at when it is their
/// turn, since there may be many and few of them get one.
struct Round<'a> {
    stages: VecDeque<Stage<'a>>,
}

/// A part of a round.
enum Stage<'a> {
    /// What one tenant, or nobody, has due.
    Known(Vec<Line<'a>>),
    /// The tenants after one, up to and with another if there is one.
    Tenants(String, Option<String>),
    /// The same, begun.
    Walk(Walk<'a>, Option<String>),
}

impl<'a> Round<'a> {
    fn new(ask: &Ask<'a>, spread: &Spread, allowance: &Allowance<'_>) -> Result<Self, StoreError> {
        let is_nobodys = |line: &Line<'_>| line.whose == Whose::Nobody;
        let (nobodys, tenants): (Vec<_>, Vec<_>) =
            lines(ask, allowance)?.into_iter().partition(is_nobodys);
        let nobodys = Stage::Known(nobodys);
        let after = spread.after.clone();
        let stages = match (few(ask, tenants)?, after) {
            (None, None) => VecDeque::from([nobodys, Stage::Tenants(String::new(), None)]),
            (None, Some(last)) => VecDeque::from([
                Stage::Tenants(last.clone(), None),
                nobodys,
                Stage::Tenants(String::new(), Some(last)),
            ]),
            (Some(few), None) => {
                let few = few.into_values().map(Stage::Known);
                [nobodys].into_iter().chain(few).collect()
            }
            (Some(few), Some(last)) => {
                let (then, first): (Vec<_>, Vec<_>) =
                    few.into_iter().partition(|(tenant, _)| **tenant <= *last);
                let known = |(_, lines)| Stage::Known(lines);
                let first = first.into_iter().map(known);
                let then = then.into_iter().map(known);
                first.chain([nobodys]).chain(then).collect()
            }
        };
        Ok(Self { stages })
    }

    fn next(
        &mut self,
        ask: &Ask<'a>,
        allowance: &Allowance<'_>,
    ) -> Result<Option<Merge<'a>>, StoreError> {
        while let Some(stage) = self.stages.pop_front() {
            let (mut walk, until) = match stage {
                Stage::Known(lines) => return Ok(Some(Merge::new(lines))),
                Stage::Tenants(after, until) => (Walk::new(ask, &after)?, until),
                Stage::Walk(walk, until) => (walk, until),
            };
            if let Some(lines) = walk.next(ask, until.as_deref(), allowance)? {
                self.stages.push_front(Stage::Walk(walk, until));
                return Ok(Some(Merge::new(lines)));
            }
        }
        Ok(None)
    }
}

/// What each tenant has due.
type ByTenant<'a> = BTreeMap<Box<str>, Vec<Line<'a>>>;

/// What each tenant has due, if all of them together have but few.
fn few<'a>(ask: &Ask<'a>, lines: Vec<Line<'a>>) -> Result<Option<ByTenant<'a>>, StoreError> {
    let mut tenants = ByTenant::new();
    let mut found = 0;
    for mut together in lines {
        together.read(ask, FEW)?;
        let jobs = std::mem::take(&mut together.jobs);
        found += jobs.len();
        if found > FEW {
            return Ok(None);
        }
        let mut apart: BTreeMap<Box<str>, Line<'a>> = BTreeMap::new();
        for mut job in jobs {
            let tenant = job.tenant.take().unwrap_or_default();
            let line = || together.of_tenant(&tenant);
            let line = apart.entry(tenant.clone()).or_insert_with(line);
            line.jobs.push_back(job);
        }
        for (tenant, line) in apart {
            tenants.entry(tenant).or_default().push(line);
        }
    }
    Ok(Some(tenants))
}
