//! Drawings of known traces, and properties of drawings of any.

mod analysis;
mod charts;
mod drawings;
mod otlp;
mod properties;
mod shop;
mod stories;
mod summaries;
