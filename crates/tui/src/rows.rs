//! Which rows of a chart are shown.

pub(crate) use longshore_trace::fold::Fold as Group;
pub(crate) use longshore_trace::view::{ChartView as Rows, Shown};
