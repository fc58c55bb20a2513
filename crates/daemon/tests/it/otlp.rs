//! The OTLP receiver, as exporters meet it.

pub(crate) mod bed;
mod bounds;
mod exporters;
mod killed;
mod protocols;
