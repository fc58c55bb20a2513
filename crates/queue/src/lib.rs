//! Producers, handlers and workers of Longshore.
