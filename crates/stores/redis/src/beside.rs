//! Which stores a server has, without making one.

use longshore_core::StoreError;

use crate::answer::{array, number, text, tuple};
use crate::connection::Connection;

/// The key that every store has.
const LAYOUT: &str = "layout";
/// How many keys a call looks at, and how many calls are made at most.
const LOOKS: (u32, u32) = (1000, 20);

/// Whether the store of this prefix is there.
pub(crate) async fn is_made(connection: &Connection) -> Result<bool, StoreError> {
    let key = format!("{}{LAYOUT}", connection.options.key_prefix());
    let found = connection.look(redis::cmd("EXISTS").arg(key)).await?;
    Ok(number::<u8>(found)? > 0)
}

/// Prefixes that have a store, by name, if this one has none.
pub(crate) async fn missing(
    connection: &Connection,
    most: usize,
) -> Result<Option<Vec<String>>, StoreError> {
    if is_made(connection).await? {
        return Ok(None);
    }
    // Not everybody may look at all keys.
    let mut names = others(connection).await.unwrap_or_default();
    names.sort();
    names.dedup();
    names.truncate(most);
    Ok(Some(names))
}

async fn others(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    let mut cursor = "0".to_owned();
    for _look in 0..LOOKS.1 {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&cursor)
            .arg("MATCH")
            .arg(format!("{{*}}:{LAYOUT}"));
        let [next, keys] = tuple::<2>(connection.look(scan.arg("COUNT").arg(LOOKS.0)).await?)?;
        for key in array(keys)?.into_iter().map(text) {
            names.extend(prefix_of(&key?).map(str::to_owned));
        }
        cursor = text(next)?;
        if cursor == "0" {
            break;
        }
    }
    Ok(names)
}

fn prefix_of(key: &str) -> Option<&str> {
    key.strip_prefix('{')?.split_once('}').map(|(name, _)| name)
}
