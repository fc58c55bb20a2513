//! Where the spans are that a search may find, by what they say.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use longshore_core::{Timestamp, TraceId};
use longshore_trace::query::Sought;

use super::TraceStore;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::index::{FrameId, Rank};
use crate::sealed::{SealedFile, Within};
use crate::search::Filter;
use crate::token::{Token, token};

/// Most conditions of a search of which it is found out how rare they are.
const MAX_CONDITIONS: usize = 4;
/// Most frames that are read to know the traces in question.
const MAX_FRAMES: usize = 128;
/// Most traces in question that are looked at one by one, and not as they stand in the listing.
const MAX_TRACES: usize = 2_000;

/// What comes into question.
#[derive(Debug)]
pub(super) enum Narrowed {
    /// All traces.
    Not,
    /// Few traces.
    Few(Vec<TraceId>),
    /// What is in these places.
    To(Places),
}

/// Frames of the log and sealed files; those that are not here come into no question.
#[derive(Debug, Default)]
pub(super) struct Places {
    frames: HashSet<FrameId>,
    files: HashMap<PathBuf, Within>,
}

/// Which part of the listing a search walks over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope<'a> {
    /// Sealed files that end before this are left out.
    pub(super) since: Option<Timestamp>,
    pub(super) places: Option<&'a Places>,
}

impl Places {
    /// What it costs to look at all of it, in traces or so.
    fn weight(&self) -> usize {
        let of_file = |within: &Within| match within {
            Within::Any => 20 * MAX_TRACES,
            Within::These(traces) => traces.len(),
        };
        self.frames.len() * 10 + self.files.values().map(of_file).sum::<usize>()
    }

    /// The traces in sealed files, if they are known and few.
    fn few(&self) -> Option<Vec<TraceId>> {
        let mut few = Vec::new();
        for within in self.files.values() {
            match within {
                Within::These(traces) if few.len() + traces.len() <= MAX_TRACES => {
                    few.extend_from_slice(traces);
                }
                Within::These(_) | Within::Any => return None,
            }
        }
        (self.frames.len() <= MAX_FRAMES).then_some(few)
    }
}

impl<'a> Scope<'a> {
    /// Which traces of a sealed file are in it; nothing if none is.
    pub(super) fn within(&self, file: &SealedFile) -> Option<&'a Within> {
        if self.since.is_some_and(|since| file.name.last() < since) {
            return None;
        }
        match self.places {
            Some(places) => places.files.get(&file.path),
            None => Some(&Within::Any),
        }
    }

    /// The frames of the log that are in it, if not all are.
    pub(super) fn frames(&self) -> Option<&'a HashSet<FrameId>> {
        self.places.map(|places| &places.frames)
    }
}

impl TraceStore {
    /// Where a search has to look.
    pub(super) fn narrow(&self, filter: &dyn Filter) -> Result<Narrowed, TraceStoreError> {
        let conditions = filter.sought().into_iter().take(MAX_CONDITIONS);
        let places = conditions.map(|condition| (self.places(&condition), condition));
        let Some((places, condition)) = places.min_by_key(|(places, _)| places.weight()) else {
            return Ok(Narrowed::Not);
        };
        let Some(mut few) = places.few() else {
            return Ok(Narrowed::To(places));
        };
        match self.in_frames(&places.frames, &condition)? {
            Some(more) => {
                few.extend(more);
                few.sort_unstable();
                few.dedup();
                Ok(Narrowed::Few(few))
            }
            // Something was sealed at this moment, and is not in these places any more.
            None => Ok(Narrowed::Not),
        }
    }

    fn places(&self, condition: &[Sought<'_>]) -> Places {
        let tokens: Vec<Token> = condition
            .iter()
            .map(|sought| token(sought.key, sought.value))
            .collect();
        let frames = lock(&self.index).saying(&tokens);
        let files = lock(&self.tier).files();
        let within = files.into_iter().filter_map(|file| {
            let within = match file.holders(&tokens) {
                Within::These(none) if none.is_empty() => return None,
                within => within,
            };
            Some((file.path.clone(), within))
        });
        Places {
            frames,
            files: within.collect(),
        }
    }

    /// The traces in these frames that meet a condition; nothing if a frame is gone.
    fn in_frames(
        &self,
        frames: &HashSet<FrameId>,
        condition: &[Sought<'_>],
    ) -> Result<Option<Vec<TraceId>>, TraceStoreError> {
        let places: Option<Vec<_>> = {
            let index = lock(&self.index);
            frames.iter().map(|frame| index.place(*frame)).collect()
        };
        let mut traces = Vec::new();
        let mut fetch = lock(&self.fetch);
        for place in places.unwrap_or_default() {
            let Some(frame) = fetch.frame(place)? else {
                return Ok(None);
            };
            let meets = |(trace, spans): (&TraceId, &Vec<_>)| {
                let says = |sought: &Sought<'_>| spans.iter().any(|span| sought.is_in(span));
                condition.iter().any(says).then_some(*trace)
            };
            traces.extend(frame.iter().filter_map(meets));
        }
        Ok(Some(traces))
    }

    /// Where a trace stands in a part of the listing: once for the log and for each sealed file.
    pub(super) fn ranks_in(&self, trace: TraceId, scope: Scope<'_>) -> Vec<Rank> {
        let mut ranks = Vec::new();
        {
            let index = lock(&self.index);
            let is_listed = scope
                .frames()
                .is_none_or(|frames| index.is_in(trace, frames));
            ranks.extend(index.rank(trace).filter(|_| is_listed));
        }
        for file in lock(&self.tier).with(trace) {
            let is_listed = scope.within(&file).is_some_and(|within| match within {
                Within::Any => true,
                Within::These(traces) => traces.binary_search(&trace).is_ok(),
            });
            ranks.extend(file.rank(trace).filter(|_| is_listed));
        }
        ranks
    }
}
