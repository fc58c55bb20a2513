//! The OTLP receiver, as exporters meet it.

mod bed;
mod bounds;
mod exporters;
mod killed;
mod protocols;
