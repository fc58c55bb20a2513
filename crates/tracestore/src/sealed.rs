//! Log files that are over, as Parquet.

mod column;
mod columns;
mod file;
mod json;
mod name;
mod read;
mod schema;
mod tier;
mod tokens;
mod write;

pub(crate) use self::file::{SealedFile, Within};
pub(crate) use self::name::SealedName;
pub(crate) use self::read::{SealedReader, guarded};
pub(crate) use self::tier::{Tier, folder_of, list};
pub(crate) use self::write::{Batch, TEMPORARY, write};
