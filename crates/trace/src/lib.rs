//! The model of a trace, its tree, and its drawing as text. No I/O.
//!
//! Spans come in as values ([`longshore_instrument::Span`]), in any order, of one trace or of
//! several that link to each other. [`Forest`] puts them into a tree, [`Story`] stitches the
//! traces of one job together, and [`Waterfall`] draws a story for a terminal. None of them ever
//! fails: a trace that is incomplete, doubled or plainly wrong is shown for what it is.

pub mod duration;
pub mod outline;
pub mod story;
mod text;
mod timeline;
pub mod tree;
pub mod waterfall;

pub use story::{Story, Summary};
pub use tree::{Content, Forest, Node};
pub use waterfall::{Colour, DrawOptions, Waterfall};
