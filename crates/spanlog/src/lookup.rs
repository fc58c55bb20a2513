//! Frames and files by their places, for those who remember places.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use longshore_core::Timestamp;

use crate::bundle::{Bundles, Place};
use crate::error::LogError;
use crate::folder::{self, Listing};
use crate::frame::Frame;
use crate::name::{FileName, WriterId};
use crate::position::Position;
use crate::scan::{Scan, Step};

/// How often a file is looked for that may be put into a bundle at this moment.
const LOOKS: usize = 3;

/// How reading a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// It was read to its end. What is damaged was left out.
    Whole,
    /// It was read to its end, and holds something that this version does not know.
    Foreign,
    /// It is not there any more.
    Gone,
    /// Whoever reads has stopped it; there is more from here on.
    Stopped(Position),
}

/// Finds frames again that a [`Reader`](crate::Reader) gave earlier, and reads whole files, wherever
/// they lie now.
#[derive(Debug)]
pub struct Lookup {
    folder: PathBuf,
    bundles: Bundles,
    spare: Vec<u8>,
    /// The files that were there the last time.
    known: Vec<FileName>,
    /// When the folder had changed last by then, if it is certain that a later change shows.
    listed_at: Option<Timestamp>,
}

impl Lookup {
    /// For the frames of this folder.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            bundles: Bundles::default(),
            spare: Vec::new(),
            known: Vec::new(),
            listed_at: None,
        }
    }

    /// The frame that begins at this place; nothing if it is gone or damaged.
    ///
    /// # Errors
    /// [`LogError`] if the folder or the file cannot be read.
    pub fn frame(&mut self, position: Position) -> Result<Option<Frame>, LogError> {
        let Some(mut scan) = self.open(position)? else {
            return Ok(None);
        };
        let step = scan.step(true);
        self.spare = scan.into_buffer();
        match step.map_err(self.failed(position))? {
            Step::Frame(frame) if frame.position == position => Ok(Some(frame)),
            _ => Ok(None),
        }
    }

    /// Gives the frames of a file from this place on, until `each` breaks off. What has come to its
    /// end by now is all that there is: for a file to which nothing more is appended.
    ///
    /// # Errors
    /// [`LogError`] if the folder or the file cannot be read.
    pub fn read(
        &mut self,
        from: Position,
        mut each: impl FnMut(Frame) -> ControlFlow<()>,
    ) -> Result<Through, LogError> {
        let Some(mut scan) = self.open(from)? else {
            return Ok(Through::Gone);
        };
        let mut is_foreign = false;
        let ended = loop {
            match scan.step(true) {
                Ok(Step::Frame(frame)) => {
                    let end = frame.end;
                    if each(frame).is_break() {
                        break Ok(Through::Stopped(end));
                    }
                }
                Ok(Step::Damage { .. }) => {}
                Ok(Step::Unknown { .. }) => is_foreign = true,
                Ok(Step::Unsupported) => break Ok(Through::Foreign),
                Ok(Step::End { .. } | Step::Pending) if is_foreign => break Ok(Through::Foreign),
                Ok(Step::End { .. } | Step::Pending) => break Ok(Through::Whole),
                Err(error) => break Err(self.failed(from)(error)),
            }
        };
        self.spare = scan.into_buffer();
        ended
    }

    /// Opens a file wherever it lies, which may be elsewhere than a moment ago.
    fn open(&mut self, position: Position) -> Result<Option<Scan>, LogError> {
        let file = position.file;
        let mut missing = 0;
        for _ in 0..LOOKS {
            let place = self.bundles.place(&self.folder, file);
            let tried = place.unwrap_or_else(|| Place::alone(&self.folder, file));
            match Scan::open(&tried, position, std::mem::take(&mut self.spare)) {
                Ok(scan) => return Ok(Some(scan)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LogError::on("open", &tried.path)(error)),
            }
            let listing = folder::list(&self.folder, &mut self.bundles)?;
            // One listing alone may have missed a file that was moved meanwhile.
            missing += usize::from(listing.files.binary_search(&file).is_err());
            if missing > 1 {
                break;
            }
        }
        Ok(None)
    }

    fn failed(&self, position: Position) -> impl Fn(io::Error) -> LogError + use<> {
        let path = self.folder.join(position.file.to_string());
        move |source| LogError::on("read", &path)(source)
    }

    /// The files of the folder, the oldest first, those in bundles among them; nothing if there
    /// are too many to be sure of all. A file that was there the last time is gone only if several
    /// listings say so.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be listed.
    pub fn files(&mut self) -> Result<Option<Vec<FileName>>, LogError> {
        let Self {
            folder, bundles, ..
        } = self;
        let listing = sure(&self.known, || folder::list(folder, bundles))?;
        if listing.cut_short {
            return Ok(None);
        }
        self.known.clone_from(&listing.files);
        Ok(Some(listing.files))
    }

    /// [`Lookup::files`], and nothing as well if they are what this call gave the last time.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be listed.
    pub fn changed_files(&mut self) -> Result<Option<Vec<FileName>>, LogError> {
        let settled = folder::settled_at(&self.folder);
        if settled.is_some() && settled == self.listed_at {
            return Ok(None);
        }
        let files = self.files()?;
        self.listed_at = settled;
        Ok(files)
    }

    /// Whether this writer's process lives and has the log open, as far as can be found out.
    #[must_use]
    pub fn is_live(&self, writer: WriterId) -> bool {
        folder::is_live(&self.folder, writer)
    }
}

/// A listing that lacks none of the files that are `known` and there. A folder is not listed in one
/// moment: a file that is put into a bundle meanwhile, and that bundle into another one, can be in
/// neither place.
fn sure(
    known: &[FileName],
    mut look: impl FnMut() -> Result<Listing, LogError>,
) -> Result<Listing, LogError> {
    let mut listing = look()?;
    for _ in 1..LOOKS {
        let is_there = |name: &FileName| listing.files.binary_search(name).is_ok();
        if known.iter().all(is_there) {
            break;
        }
        let again = look()?;
        listing.files.extend(again.files);
        listing.files.sort_unstable();
        listing.files.dedup();
        listing.cut_short |= again.cut_short;
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemRandom;

    use super::*;
    use crate::frame::Class;

    #[test]
    fn a_file_that_one_listing_missed_is_not_gone() {
        let writer = WriterId::mint(&SystemRandom);
        let file = |created| FileName::new(created, writer, Class::Base);
        let known = [file(1), file(2), file(3)];
        // The second was moved while the folder was listed; the third is gone.
        let listings = [vec![file(1)], vec![file(1), file(2)], vec![file(2)]];
        let mut listings = listings.into_iter();
        let look = || {
            let mut listing = Listing::default();
            listing.files = listings.next().unwrap_or_default();
            Ok(listing)
        };
        let sure = sure(&known, look).unwrap();
        assert_eq!(sure.files, [file(1), file(2)]);
    }
}
