//! The model of a trace, its tree, its analysis, and its drawing as text. No I/O.
//!
//! Spans come in as values ([`longshore_instrument::Span`]), in any order, of one trace or of
//! several that link to each other. [`Forest`] puts them into a tree, [`Story`] stitches the
//! traces of one job together, and [`Waterfall`] draws a story for a terminal. None of them ever
//! fails: a trace that is incomplete, doubled or plainly wrong is shown for what it is.
//!
//! | to | look in |
//! | --- | --- |
//! | read spans from the bytes in which they are sent and stored | [`otlp`] |
//! | sum up a trace in one line | [`TraceSummary`] |
//! | hold a trace in columns, with what the records of its jobs add | [`Chart`] |
//! | show a part of a chart: folds, and siblings in one line | [`ChartView`], [`fold`] |
//! | find what the end waited for, across the queue | [`CriticalPath`] |
//! | say what stands out, and queries that should be one | [`findings()`], [`fold::many_for_one`] |
//! | compare traces, or groups of them | [`diff`] |
//! | know whether a duration is unusual | [`unusual`] |
//! | see which clocks were corrected | [`Chart::corrections`] |
//! | search | [`query`] |
//!
//! ```
//! use longshore_instrument::Span;
//! use longshore_trace::{DrawOptions, Story, Waterfall};
//!
//! fn show(spans: &[Span]) -> String {
//!     let options = DrawOptions { width: 80, ..DrawOptions::default() };
//!     let stories = Story::stitch(spans);
//!     stories.iter().map(|story| Waterfall::new(story).draw(&options)).collect()
//! }
//! # use longshore_core::{SpanId, Timestamp, TraceFlags, TraceId, TraceState};
//! # use longshore_instrument::{Dropped, SpanKind, SpanStatus};
//! # let at = Timestamp::from_unix_millis;
//! # let span = Span {
//! #     trace_id: TraceId::from_u128(1),
//! #     span_id: SpanId::from_u64(1),
//! #     parent_span_id: None,
//! #     parent_is_remote: false,
//! #     flags: TraceFlags::default(),
//! #     trace_state: TraceState::EMPTY,
//! #     name: "GET /orders".into(),
//! #     kind: SpanKind::Server,
//! #     start: at(0),
//! #     end: at(12),
//! #     attributes: Vec::new(),
//! #     events: Vec::new(),
//! #     links: Vec::new(),
//! #     status: SpanStatus::Unset,
//! #     scope: "web".into(),
//! #     dropped: Dropped::default(),
//! #     resource: None,
//! # };
//!
//! let drawn = show(&[span]);
//! assert!(drawn.starts_with("GET /orders "));
//! assert!(drawn.trim_end().ends_with("█  12.0 ms"));
//! ```

pub mod chart;
pub mod critical;
pub mod diff;
pub mod duration;
pub mod findings;
pub mod fold;
pub mod otlp;
pub mod outline;
pub mod query;
pub mod story;
pub mod summary;
pub mod text;
pub mod timeline;
pub mod tree;
pub mod unusual;
pub mod view;
pub mod waterfall;

pub use chart::Chart;
pub use critical::CriticalPath;
pub use findings::{Finding, findings};
pub use query::Query;
pub use story::{Story, Summary};
pub use summary::TraceSummary;
pub use tree::{Content, Forest, Node};
pub use view::ChartView;
pub use waterfall::{Colour, DrawOptions, Waterfall};
