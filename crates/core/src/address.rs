//! The URL of a server that may have a password in it.

/// Whether a password before the host has a character that ends it too early: what is left of it then
/// looks like a host or a path, and would be asked for and shown.
///
/// After the host an `@` is therefore written `%40`.
///
/// ```
/// use longshore_core::address::has_bare_password;
/// assert!(has_bare_password("redis://:one/two@host:6379/0"));
/// assert!(!has_bare_password("redis://:one%2Ftwo@host:6379/0"));
/// assert!(!has_bare_password("redis://host:6379/0?prefix=shop"));
/// ```
#[must_use]
pub fn has_bare_password(url: &str) -> bool {
    let (_scheme, rest) = url.split_once("://").unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.get(end..).is_some_and(|after| after.contains('@'))
}

/// What to say of such a URL, without any of it.
pub const BARE_PASSWORD: &str = "the URL has an `@` after its host, as it looks if a password has \
     special characters: write them as %XX, `/` as %2F, `?` as %3F, `#` as %23, `@` as %40, `%` as %25";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_that_ends_a_host_is_noticed_in_a_password() {
        for password in ["a/b", "a?b", "a#b", "p@ss/w#rd", "a?b=c", "a?b&c", "/"] {
            for scheme in ["postgres", "redis", "redis-cluster"] {
                let url = format!("{scheme}://app:{password}@host:1,host:2/app?x=y");
                assert!(has_bare_password(&url), "{url}");
            }
        }
    }

    #[test]
    fn urls_that_are_in_order_are_let_through() {
        for url in [
            "postgres://app@host/app",
            "postgres://app:p%40ss%2Fw%23rd@host:5432/app?schema=x&options=-c%20a%3Db",
            "postgres:///app?host=/run/postgresql&user=ann",
            "redis://:secret@[::1]:6379/0#there",
            // The last one ends the password.
            "redis://:p@ssword@host:6379/0",
            "redis-sentinel://u:p@a:1,b:2/master/0",
            "sqlite:a@b.db",
            "",
        ] {
            assert!(!has_bare_password(url), "{url}");
        }
    }
}
