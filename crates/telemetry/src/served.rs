//! Which store the jobs of this process lie in, as far as the engine has said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_core::StoreInfo;
use longshore_instrument::store_name;

/// The store of a process, for the resource of what it records.
#[derive(Debug, Default)]
pub(crate) struct ServedStore(Mutex<Known>);

/// What is known of the stores of a process.
#[derive(Debug, Default)]
enum Known {
    /// None with a name has been heard of.
    #[default]
    Nothing,
    /// All that was heard of is one store.
    One {
        system: &'static str,
        location: String,
        name: Arc<str>,
    },
    /// Spans do not say to which of several stores they belong.
    Several,
}

impl ServedStore {
    /// Hears of a store, as often as someone works on it.
    pub(crate) fn hear(&self, info: &StoreInfo) {
        let mut known = self.known();
        match &*known {
            Known::Several => return,
            Known::One {
                system, location, ..
            } if *system == info.system && *location == info.location => return,
            Known::Nothing | Known::One { .. } => {}
        }
        let Some(heard) = store_name(info) else {
            return;
        };
        match &*known {
            // The same file by another path.
            Known::One { name, .. } if **name == *heard => {}
            Known::One { .. } | Known::Several => *known = Known::Several,
            Known::Nothing => {
                *known = Known::One {
                    system: info.system,
                    location: info.location.clone(),
                    name: heard.into(),
                }
            }
        }
    }

    /// The name of the store, if there is one and no other.
    pub(crate) fn name(&self) -> Option<Arc<str>> {
        match &*self.known() {
            Known::One { name, .. } => Some(Arc::clone(name)),
            Known::Nothing | Known::Several => None,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
