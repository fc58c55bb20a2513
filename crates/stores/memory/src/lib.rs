//! The reference store of Longshore, in memory.
