//! Log files that are over, as Parquet.

mod column;
mod columns;
mod file;
mod filter;
mod json;
mod merge;
mod name;
mod place;
mod read;
mod remote;
mod schema;
mod tier;
mod tokens;
mod value;
mod write;

pub(crate) use self::file::{SealedFile, Within};
pub(crate) use self::merge::Parts;
pub use self::name::{InvalidSealedName, SealedName};
pub(crate) use self::place::{remove_replaced, set_aside};
pub(crate) use self::read::{SealedReader, guarded};
pub use self::remote::may_hold;
pub(crate) use self::tier::Tier;
pub use self::tier::{sealed_files, sealed_folder, sealed_parts};
pub(crate) use self::write::{Batch, TEMPORARY, write};
