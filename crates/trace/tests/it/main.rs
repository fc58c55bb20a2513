//! Known traces and recordings of real ones, drawn, searched and analysed, and what holds for any.

mod analysis;
mod chance;
mod charts;
mod clocks;
mod differences;
mod drawings;
mod otlp;
mod properties;
mod recordings;
mod shop;
mod stories;
mod summaries;
mod views;
