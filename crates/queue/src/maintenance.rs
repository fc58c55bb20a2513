//! What every worker does beside running jobs, so that no other process is needed.

pub(crate) mod batches;
pub(crate) mod cron;
pub(crate) mod losses;
pub(crate) mod promoter;
pub(crate) mod pruner;
pub(crate) mod register;
pub(crate) mod rescuer;
pub(crate) mod turn;
