//! Lists of keys.

use longshore_instrument::table::{AttributeKey, resolve};

/// Keys, some of them with `*` for any text, whatever their case.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyList(Vec<String>);

impl KeyList {
    /// A list as typed. An alias from the table of attributes stands for its key, too.
    pub(super) fn new(typed: &[String]) -> Self {
        let mut keys = Vec::new();
        for key in typed
            .iter()
            .map(|key| key.trim())
            .filter(|key| !key.is_empty())
        {
            keys.push(key.to_owned());
            if resolve(key) != key {
                keys.push(resolve(key).to_owned());
            }
        }
        Self(keys)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key is on the list, by itself or as an alias.
    pub(super) fn has(&self, key: &str) -> bool {
        let resolved = resolve(key);
        self.has_exactly(key) || (resolved != key && self.has_exactly(resolved))
    }

    /// Whether an attribute of the table is on the list, under any of its names.
    pub(super) fn has_attribute(&self, attribute: &AttributeKey) -> bool {
        let mut names = attribute.aliases.iter().chain([&attribute.key]);
        names.any(|name| self.has_exactly(name))
    }

    fn has_exactly(&self, key: &str) -> bool {
        let is_it = |listed: &String| {
            if listed.contains('*') {
                matches(listed.as_bytes(), key.as_bytes())
            } else {
                listed.eq_ignore_ascii_case(key)
            }
        };
        self.0.iter().any(is_it)
    }
}

/// Whether a text is as a pattern with `*` says. When a piece does not fit, the last `*` takes
/// one byte more; no star before it needs another try.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if wanted.eq_ignore_ascii_case(byte) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                p = star_at + 1;
                t = taken + 1;
            }
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: &[&str]) -> KeyList {
        KeyList::new(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn stars_stand_for_any_text() {
        let keys = list(&["http.*", "*.email", "a*b*c", "exact"]);
        for key in [
            "http.route",
            "http.",
            "user.email",
            "HTTP.Route",
            "abc",
            "a.b.b.c",
            "EXACT",
        ] {
            assert!(keys.has(key), "{key}");
        }
        for key in ["https", "user.email.domain", "ab", "acb", "exactly", ""] {
            assert!(!keys.has(key), "{key}");
        }
        assert!(list(&["*"]).has(""));
    }

    #[test]
    fn aliases_mean_the_attribute() {
        assert!(list(&["job.id"]).has("messaging.message.id"));
        assert!(list(&["messaging.message.id"]).has("job.id"));
        let attributes = longshore_instrument::table::ATTRIBUTES;
        let id = attributes
            .iter()
            .find(|a| a.key == "messaging.message.id")
            .unwrap();
        assert!(list(&["job.*"]).has_attribute(id));
    }
}
