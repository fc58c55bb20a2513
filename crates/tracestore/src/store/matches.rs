//! What was found out of sealed files that were read whole, for those who page on.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::TraceId;

/// Most traces that are remembered, which take some 20 bytes each, and most files.
const MAX: (usize, usize) = (1 << 20, 512);

/// Which traces of a sealed file match a search, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Matches {
    all: VecDeque<Remembered>,
    traces: usize,
}

#[derive(Debug)]
struct Remembered {
    search: String,
    file: PathBuf,
    matches: Arc<HashSet<TraceId>>,
}

impl Matches {
    pub(super) fn of(&self, search: &str, file: &Path) -> Option<Arc<HashSet<TraceId>>> {
        let mut all = self.all.iter();
        let found = all.find(|one| one.file == file && one.search == search)?;
        Some(Arc::clone(&found.matches))
    }

    pub(super) fn remember(
        &mut self,
        search: String,
        file: &Path,
        matches: &Arc<HashSet<TraceId>>,
    ) {
        let (most_traces, most_files) = MAX;
        self.traces += matches.len();
        self.all.push_back(Remembered {
            search,
            file: file.to_owned(),
            matches: Arc::clone(matches),
        });
        while self.traces > most_traces || self.all.len() > most_files {
            let Some(oldest) = self.all.pop_front() else {
                return;
            };
            self.traces -= oldest.matches.len();
        }
    }
}
