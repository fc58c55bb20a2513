//! The model of a trace, its tree, and its drawing as text. No I/O.
