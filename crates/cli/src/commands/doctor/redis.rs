//! Whether a Redis or Valkey server keeps the jobs of a store safe.

use longshore_redis::RedisStore;

use super::{Finding, Grade};
use crate::text;

const CHECK: &str = "server";

/// A first command against what keeps the store from being used, by what the error says.
pub(super) fn remedy(location: &str, said: &str) -> String {
    let ping = ping(location);
    let reach = ping.strip_suffix(" ping").unwrap_or(&ping);
    if said.contains("READONLY") {
        format!("{reach} INFO replication")
    } else if said.contains("NOPERM") {
        "longshore docs redis".to_owned()
    } else if said.contains("NOAUTH") || said.to_lowercase().contains("authentication failed") {
        format!("{reach} --askpass ping")
    } else {
        ping
    }
}

/// The command by which a person reaches the server at a location, the first one if there are
/// several.
pub(super) fn ping(location: &str) -> String {
    let (scheme, rest) = location.split_once("://").unwrap_or(("redis", location));
    let address = rest.split(['/', '?', ',']).next().unwrap_or_default();
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "6379"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tls = match scheme.starts_with("rediss") || scheme == "valkeys" {
        true => " --tls",
        false => "",
    };
    format!("redis-cli -h {host} -p {port}{tls} ping")
}

/// The checks of the server and its settings.
pub(super) async fn checks(store: &RedisStore) -> Vec<Finding> {
    let found = match store.examine().await {
        Ok(found) => found,
        Err(error) => return vec![Finding::new(CHECK, Grade::Problem, error.to_string())],
    };
    let most = match found.max_memory_bytes {
        Some(most) => format!(" of {}", text::bytes(most)),
        None => String::new(),
    };
    let said = format!(
        "{}, layout version {}, {}{most} of memory in use",
        found.server,
        found.layout,
        text::bytes(found.memory_bytes)
    );
    let mut findings = vec![Finding::new(CHECK, Grade::Ok, said)];
    let complaints = found.complaints.into_iter();
    findings.extend(complaints.map(|complaint| Finding::of(CHECK, complaint)));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_reached_by_the_program_that_everybody_has() {
        for (location, command) in [
            (
                "redis://10.0.0.7:6380/3?prefix=shop",
                "redis-cli -h 10.0.0.7 -p 6380 ping",
            ),
            (
                "rediss-cluster://a:7000,b:7001?prefix=p",
                "redis-cli -h a -p 7000 --tls ping",
            ),
            ("redis://[::1]:6379/0", "redis-cli -h ::1 -p 6379 ping"),
        ] {
            assert_eq!(ping(location), command);
        }
    }

    #[test]
    fn the_first_command_fits_what_the_server_said() {
        for (said, command) in [
            (
                "NOAUTH Authentication required.",
                "redis-cli -h a -p 1 --askpass ping",
            ),
            (
                "READONLY You can't write",
                "redis-cli -h a -p 1 INFO replication",
            ),
            (
                "NOPERM this user has no permissions",
                "longshore docs redis",
            ),
            ("Connection refused", "redis-cli -h a -p 1 ping"),
        ] {
            assert_eq!(remedy("redis://a:1/0", said), command);
        }
    }
}
