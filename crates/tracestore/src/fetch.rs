//! Whole spans, read again from where they lie.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_spanlog::{LogError, Lookup};
use longshore_trace::otlp::Decoder;

use crate::body;
use crate::index::Place;

/// Most spans that are remembered, which take about 1 KB each.
const MAX_REMEMBERED: usize = 32 << 10;

/// The spans of a frame by their traces.
pub(crate) type FrameSpans = HashMap<TraceId, Vec<Span>>;

/// Reads frames, and remembers those that it read last: the spans of neighbours in a listing lie in
/// the same frames.
#[derive(Debug)]
pub(crate) struct Fetch {
    lookups: Vec<Lookup>,
    decoder: Decoder,
    remembered: HashMap<Place, Arc<FrameSpans>>,
    /// What was remembered first comes first, each with its number of spans.
    turns: VecDeque<(Place, usize)>,
    spans: usize,
}

impl Fetch {
    pub(crate) fn new(folders: &[PathBuf]) -> Self {
        Self {
            lookups: folders.iter().map(Lookup::new).collect(),
            decoder: Decoder::default(),
            remembered: HashMap::new(),
            turns: VecDeque::new(),
            spans: 0,
        }
    }

    /// The spans of the frame that begins there; nothing if it is gone.
    pub(crate) fn frame(&mut self, place: Place) -> Result<Option<Arc<FrameSpans>>, LogError> {
        if let Some(frame) = self.remembered.get(&place) {
            return Ok(Some(Arc::clone(frame)));
        }
        let Some(lookup) = self.lookups.get_mut(place.0) else {
            return Ok(None);
        };
        let Some(frame) = lookup.frame(place.1)? else {
            return Ok(None);
        };
        let Some(body) = body::read(&frame) else {
            return Ok(None);
        };
        let decoded = self.decoder.decode(&body.spans);
        let count = decoded.spans.len();
        let mut by_trace = FrameSpans::new();
        for span in decoded.spans {
            by_trace.entry(span.trace_id).or_default().push(span);
        }
        let frame = Arc::new(by_trace);
        self.remember(place, count, &frame);
        Ok(Some(frame))
    }

    fn remember(&mut self, place: Place, count: usize, frame: &Arc<FrameSpans>) {
        self.spans += count;
        self.turns.push_back((place, count));
        self.remembered.insert(place, Arc::clone(frame));
        while self.spans > MAX_REMEMBERED {
            let Some((oldest, count)) = self.turns.pop_front() else {
                return;
            };
            self.spans -= count;
            self.remembered.remove(&oldest);
        }
    }
}
