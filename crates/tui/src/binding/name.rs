//! What actions are called where they are looked for by name.

use super::{Action, Move, Tab};

impl Action {
    /// The name: one word, or several with dashes between them.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Help => "help",
            Self::Palette => "actions",
            Self::Show(tab) => tab.name(),
            Self::Back => "back",
            Self::Move(step) => step.name(),
            Self::Open => "open",
            Self::NextPanel => "next-panel",
            Self::PreviousPanel => "previous-panel",
            Self::Search => "search",
            Self::Freeze => "freeze",
            Self::Fold => "fold",
            Self::Unfold => "unfold",
            Self::FoldAll => "fold-all",
            Self::UnfoldAll => "unfold-all",
            Self::NextError => "next-failure",
            Self::PreviousError => "previous-failure",
            Self::NextFinding => "next-finding",
            Self::CriticalPath => "critical-path",
            Self::Gaps => "gaps",
            Self::ZoomIn => "zoom-in",
            Self::ZoomOut => "zoom-out",
            Self::Earlier => "earlier",
            Self::Later => "later",
            Self::Clocks => "clocks-as-recorded",
            Self::Details => "span",
            Self::OpenInApm => "open-in-apm",
            Self::CopyTrace => "copy-trace-id",
            Self::CopyLink => "copy-link",
            Self::CopyLine => "copy-line",
            Self::Find => "find-span",
            Self::FindNext => "find-next",
            Self::FindPrevious => "find-previous",
            Self::HideService => "hide-service",
            Self::ShowServices => "show-services",
            Self::Order => "longest-first",
            Self::Holder => "blocker",
            Self::Related => "related",
            Self::TraceView => "trace-view",
            Self::FilterByTrace => "only-this-trace",
            Self::Mark => "mark",
            Self::MarkGroup => "mark-all",
            Self::Diff => "diff",
            Self::Retry => "retry-job",
            Self::Cancel => "cancel-job",
            Self::Discard => "discard-job",
            Self::Pause => "pause",
            Self::Trigger => "run-now",
            Self::State => "next-state",
            Self::Bars => "wait-or-run",
            Self::Kind => "next-kind",
            Self::Times => "times-of-kind",
        }
    }
}

impl Tab {
    const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Jobs => "jobs",
            Self::Queues => "queues",
            Self::Workers => "workers",
            Self::Schedules => "schedules",
        }
    }
}

impl Move {
    const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::HalfUp => "half-page-up",
            Self::HalfDown => "half-page-down",
            Self::PageUp => "page-up",
            Self::PageDown => "page-down",
            Self::Top => "top",
            Self::Bottom => "bottom",
        }
    }
}
