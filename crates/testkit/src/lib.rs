//! Store conformance suite, model, simulation and an in-process OTLP collector.

pub mod collector;
