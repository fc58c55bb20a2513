//! The command line of Longshore.
