//! The words of `tui`.

use clap::{Args, ValueEnum};

use super::traces::ViewWords;

/// `tui`.
#[derive(Debug, Args)]
#[command(
    after_help = "Keys stand in the last line, all of them behind `?`. A trace id, a traceparent or \
    the address of a trace may be pasted anywhere, and goes there.\n\n\
    Examples:\n  \
    longshore tui\n  \
    longshore tui 4bf92f3577b34da6a3ce929d0e0e4736\n  \
    longshore tui JOB_ID\n  \
    longshore tui order-2001\n  \
    longshore tui --connect http://queue.internal:7350 --trace-url tempo=https://grafana.internal"
)]
pub(crate) struct Tui {
    /// Opens this trace at once: its id, a text with the id in it, or the traces of this job. Of an
    /// id, its first eight digits or more are enough; anything else is searched for.
    #[arg(value_name = "TRACE_ID|JOB_ID|SEARCH")]
    pub(crate) trace: Option<String>,
    /// What to look at.
    #[command(flatten)]
    pub(crate) view: ViewWords,
    /// Where `o` opens traces: an address with {trace_id} in it, or jaeger[=URL], tempo[=URL],
    /// datadog[=URL], honeycomb=TEAM/environments/ENV, cloudtrace=PROJECT
    /// [setting: trace_url, env: LONGSHORE_TRACE_URL].
    #[arg(long, value_name = "TEMPLATE|PRESET")]
    pub(crate) trace_url: Option<String>,
    /// Which colours to use.
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    pub(crate) theme: Theme,
    /// Draws with ASCII characters alone [default: if the locale is not UTF-8].
    #[arg(long)]
    pub(crate) ascii: bool,
}

/// Colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    /// What COLORFGBG and NO_COLOR say, else dark.
    Auto,
    /// For a dark ground.
    Dark,
    /// For a light ground.
    Light,
    /// None.
    None,
}
