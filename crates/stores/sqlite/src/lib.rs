//! The embedded store of Longshore: one SQLite file, shared by several processes.
