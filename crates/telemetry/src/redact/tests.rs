//! What leaves and what does not, beyond the tests beside each part.

mod behaviour;
mod harmless;
mod planted;
mod secrets;

use super::{RedactionPolicy, Redactor};

fn redactor() -> Redactor {
    Redactor::default()
}

fn changed(change: impl FnOnce(&mut RedactionPolicy)) -> RedactionPolicy {
    let mut policy = RedactionPolicy::default();
    change(&mut policy);
    policy
}

fn with(change: impl FnOnce(&mut RedactionPolicy)) -> Redactor {
    let (redactor, warnings) = Redactor::new(&changed(change));
    assert_eq!(warnings, []);
    redactor
}
