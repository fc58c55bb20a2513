//! What a store is called on the resource of spans.

use std::path::Path;

use longshore_core::StoreInfo;

/// The name of a store, the same from wherever on this machine it is opened: `sqlite:` and the whole
/// path of the file, else the kind of the store and its location, without secrets. It is what
/// [`key::STORE`](crate::table::key::STORE) says, by which lists of traces tell stores apart. A store
/// that only its own process can open has none.
///
/// ```
/// use std::time::Duration;
/// use longshore_core::StoreInfo;
/// use longshore_instrument::store_name;
///
/// let info = StoreInfo {
///     system: "postgresql",
///     location: "db:5432/shop".to_owned(),
///     clock_error: Duration::ZERO,
///     keeps_over_for: Duration::ZERO,
/// };
/// assert_eq!(store_name(&info).as_deref(), Some("postgresql:db:5432/shop"));
/// ```
#[must_use]
pub fn store_name(info: &StoreInfo) -> Option<String> {
    match info.system {
        "memory" => None,
        "sqlite" => Some(format!("sqlite:{}", whole_path(&info.location))),
        system => Some(format!("{system}:{}", info.location)),
    }
}

/// A path without links, from the root on.
fn whole_path(path: &str) -> String {
    let whole = Path::new(path).canonicalize();
    whole.map_or_else(|_gone| path.to_owned(), |whole| whole.display().to_string())
}
