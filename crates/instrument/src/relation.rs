//! relation
