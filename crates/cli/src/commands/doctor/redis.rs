//! Whether a Redis or Valkey server keeps the jobs of a store safe.

use longshore_redis::RedisStore;

use super::{Finding, Grade};
use crate::text;

const CHECK: &str = "server";

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
}
