//! Who types, as others know them.

use longshore_core::pause::Pause;
use longshore_telemetry::Environment;

use crate::text;

/// Where the name of a user is; the first one that is set counts.
const USER: [&str; 3] = ["SUDO_USER", "USER", "LOGNAME"];

/// User and machine, such as `ann@web-1`: what others read who wonder who paused a queue. It proves
/// nothing.
pub(crate) fn name(environment: &Environment) -> String {
    let named = |name: &&str| environment.get(name).filter(|user| !user.trim().is_empty());
    let user = match USER.iter().find_map(named) {
        Some(user) => user.to_owned(),
        None => format!("uid {}", rustix::process::getuid().as_raw()),
    };
    let machine = rustix::system::uname();
    let mut name = text::tame(&format!("{user}@{}", machine.nodename().to_string_lossy()));
    name.truncate(name.floor_char_boundary(Pause::MAX_BY_BYTES));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> String {
        name(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn a_name_is_one_short_line_whoever_it_is() {
        assert!(of(&[("USER", "root"), ("SUDO_USER", "ann")]).starts_with("ann@"));
        assert!(of(&[("SUDO_USER", ""), ("LOGNAME", "bob")]).starts_with("bob@"));
        assert!(of(&[]).starts_with("uid "));
        let long = of(&[("USER", &"ü\n".repeat(90))]);
        assert!(
            long.len() <= Pause::MAX_BY_BYTES && !long.contains('\n'),
            "{long}"
        );
    }
}
