//! Frames by their place, for those who remember places.

use std::io;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundles, Place};
use crate::error::LogError;
use crate::folder;
use crate::frame::Frame;
use crate::name::{FileName, WriterId};
use crate::position::Position;
use crate::scan::{Scan, Step};

/// How often a frame is looked for whose file may be put into a bundle at this moment.
const LOOKS: usize = 3;

/// Finds frames again that a [`Reader`](crate::Reader) gave earlier, wherever their files lie now.
#[derive(Debug)]
pub struct Lookup {
    folder: PathBuf,
    bundles: Bundles,
    spare: Vec<u8>,
}

impl Lookup {
    /// For the frames of this folder.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            bundles: Bundles::default(),
            spare: Vec::new(),
        }
    }

    /// The frame that begins at this place; nothing if it is gone or damaged.
    ///
    /// # Errors
    /// [`LogError`] if the folder or the file cannot be read.
    pub fn frame(&mut self, position: Position) -> Result<Option<Frame>, LogError> {
        let alone = Place::alone(&self.folder, position.file);
        let mut place = self.bundles.place(&self.folder, position.file);
        for _ in 0..LOOKS {
            let tried = place.as_ref().unwrap_or(&alone);
            match Scan::open(tried, position, std::mem::take(&mut self.spare)) {
                Ok(scan) => {
                    let found = self.read(scan, position);
                    return found.map_err(LogError::on("read", &tried.path));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LogError::on("open", &tried.path)(error)),
            }
            let listing = folder::list(&self.folder, &mut self.bundles)?;
            if listing.files.binary_search(&position.file).is_err() {
                return Ok(None);
            }
            place = self.bundles.place(&self.folder, position.file);
        }
        Ok(None)
    }

    fn read(&mut self, mut scan: Scan, position: Position) -> io::Result<Option<Frame>> {
        let step = scan.step(true)?;
        self.spare = scan.into_buffer();
        Ok(match step {
            Step::Frame(frame) if frame.position == position => Some(frame),
            _ => None,
        })
    }

    /// The files of the folder, the oldest first, those in bundles among them; nothing if there
    /// are too many to be sure of all.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be listed.
    pub fn files(&mut self) -> Result<Option<Vec<FileName>>, LogError> {
        let listing = folder::list(&self.folder, &mut self.bundles)?;
        Ok((!listing.cut_short).then_some(listing.files))
    }

    /// Whether this writer's process lives and has the log open, as far as can be found out.
    #[must_use]
    pub fn is_live(&self, writer: WriterId) -> bool {
        folder::is_live(&self.folder, writer)
    }
}
