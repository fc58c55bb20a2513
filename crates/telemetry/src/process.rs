//! What tells a process and its machine from all others.

use longshore_core::Random;

/// Longest name of a machine that is told, in characters.
const LONGEST: usize = 255;

/// A process, as the resource of all that it records names it. Spans, log records and clocks of several
/// machines are told apart by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// A random UUID: `service.instance.id`.
    instance: String,
    /// What the machine calls itself, empty if it does not: `host.name`.
    host: String,
}

impl Process {
    /// This process, under an id that no other has.
    pub(crate) fn this(random: &dyn Random) -> Self {
        let bits = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        Self {
            instance: id.to_string(),
            host: host(),
        }
    }

    /// Its resource attributes, by their keys.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("service.instance.id", self.instance.as_str()),
            ("host.name", self.host.as_str()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

#[cfg(unix)]
fn host() -> String {
    let names = rustix::system::uname();
    let name = names.nodename().to_string_lossy();
    name.chars().take(LONGEST).collect()
}

#[cfg(not(unix))]
fn host() -> String {
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_testkit::SeededRandom;

    #[test]
    fn every_process_has_an_id_of_its_own_and_the_name_of_its_machine() {
        let random = SeededRandom::new(7);
        let (one, other) = (Process::this(&random), Process::this(&random));
        assert_ne!(one, other);
        assert_eq!(one.host, other.host);
        let keys: Vec<&str> = one.attributes().map(|(key, _)| key).collect();
        assert!(keys.starts_with(&["service.instance.id"]), "{keys:?}");
        let id = uuid::Uuid::parse_str(&one.instance).unwrap();
        assert_eq!(id.get_version_num(), 4);
    }
}
