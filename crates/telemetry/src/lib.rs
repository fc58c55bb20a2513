//! What leaves the process: sampling, OTLP export, logs.
