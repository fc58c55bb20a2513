//! A durable job queue in which every job is a trace.
