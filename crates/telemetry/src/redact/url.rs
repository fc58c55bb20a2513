//! URLs without user name and password, without the values of their parameters, without what
//! follows the `#`.

use std::borrow::Cow;

use super::mark;

/// What hides a piece: gets the piece and whether it is user name and password.
pub(super) type Hide<'a> = dyn Fn(&str, Piece, &mut String) + 'a;

/// What a piece of a URL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// User name and password.
    UserInfo,
    /// The value of a parameter, or the fragment.
    Value,
}

/// The URL with everything hidden that a person may have filled in.
pub(super) fn sanitized<'u>(url: &'u str, hide: &Hide<'_>) -> Cow<'u, str> {
    let cut = url.find(['?', '#']).unwrap_or(url.len());
    let (path, rest) = url.split_at(cut);
    let user_info = user_info(url, path);
    if user_info.is_none() && rest.is_empty() {
        return Cow::Borrowed(url);
    }
    let mut out = String::with_capacity(url.len());
    let (path, rest) = match user_info {
        Some((start, end)) => {
            out.push_str(url.get(..start).unwrap_or_default());
            hidden(
                url.get(start..end).unwrap_or_default(),
                Piece::UserInfo,
                hide,
                &mut out,
            );
            let tail = url.get(end..).unwrap_or_default();
            tail.split_at(tail.find(['?', '#']).unwrap_or(tail.len()))
        }
        None => (path, rest),
    };
    out.push_str(path);
    let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    if let Some(query) = query.strip_prefix('?') {
        out.push('?');
        out.push_str(&sanitized_query(query, hide));
    }
    if let Some(fragment) = fragment.strip_prefix('#') {
        out.push('#');
        hidden(fragment, Piece::Value, hide, &mut out);
    }
    Cow::Owned(out)
}

/// The query of a URL, without its `?`, with every value hidden.
pub(super) fn sanitized_query(query: &str, hide: &Hide<'_>) -> String {
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    loop {
        let end = rest.find(['&', ';']).unwrap_or(rest.len());
        let (pair, tail) = rest.split_at(end);
        match pair.split_once('=') {
            Some((name, value)) => {
                out.push_str(name);
                out.push('=');
                hidden(value, Piece::Value, hide, &mut out);
            }
            None => hidden(pair, Piece::Value, hide, &mut out),
        }
        let Some(separator) = tail.chars().next() else {
            break;
        };
        out.push(separator);
        rest = tail.get(1..).unwrap_or_default();
    }
    out
}

fn hidden(piece: &str, kind: Piece, hide: &Hide<'_>, out: &mut String) {
    if piece.is_empty() || mark::is_mark(piece) {
        out.push_str(piece);
    } else {
        hide(piece, kind, out);
    }
}

/// Where user name and password stand. `path` is what comes before the first `?` or `#`; but a
/// password may hold these, too.
fn user_info(url: &str, path: &str) -> Option<(usize, usize)> {
    let start = match path.find("//") {
        Some(slashes) => slashes + 2,
        None if path.starts_with('/') => return None,
        None => 0,
    };
    let tail = url.get(start..)?;
    let authority = tail.split(['/', '?', '#']).next()?;
    if let Some(at) = authority.rfind('@') {
        return Some((start, start + at));
    }
    // What follows the colon of a host is its port.
    let (_, port) = authority.split_once(':')?;
    if port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    tail.rfind('@').map(|at| (start, start + at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        let hide = |_: &str, piece: Piece, out: &mut String| {
            out.push_str(if piece == Piece::UserInfo { "U" } else { "V" });
        };
        sanitized(url, &hide).into_owned()
    }

    #[test]
    fn only_what_a_person_filled_in_is_hidden() {
        for (url, expected) in [
            ("https://example.com/a/b", "https://example.com/a/b"),
            (
                "https://u:p@example.com/a?b=c&d=&e#f",
                "https://U@example.com/a?b=V&d=&V#V",
            ),
            ("/orders?id=7;x=8", "/orders?id=V;x=V"),
            ("https://u:p@ss@h/x", "https://U@h/x"),
            ("postgres://u:p/a?s#s@h/db?x=1", "postgres://U@h/db?x=V"),
            ("u:p@host:80/x", "U@host:80/x"),
            ("http://host:8080/?mail=a@b.c", "http://host:8080/?mail=V"),
            ("/@scope/package", "/@scope/package"),
            ("", ""),
            ("?", "?"),
            ("//", "//"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }
}
