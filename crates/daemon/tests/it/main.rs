//! The daemon, asked over HTTP.

mod serving;
