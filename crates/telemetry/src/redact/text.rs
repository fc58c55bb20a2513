//! Putting marks where something was found in a text.

use super::rule::Rule;
use super::scan::{self, Hit};
use super::{CUT, Redactor, mark, sql, url};

/// Beyond what can leave, so many bytes are searched, since marks are shorter than secrets.
const SLACK: usize = 8_192;
/// So much before the end of what is searched does not leave: a secret may go on beyond.
const MARGIN: usize = 256;

impl Redactor {
    pub(super) fn statement(&self, text: &str) -> String {
        // The end of a statement may have been cut off before.
        let (statement, tail) = match text.strip_suffix(CUT) {
            Some(statement) => (statement, "…"),
            None => (text, ""),
        };
        match sql::sanitized(statement) {
            Some(sanitized) => {
                let sanitized = sanitized + tail;
                if sanitized != text {
                    self.tally.add(Rule::Sql);
                }
                sanitized
            }
            None if text.is_empty() || mark::is_mark(text) => text.to_owned(),
            None => {
                let mut out = String::new();
                self.hide(text, Rule::Sql, &mut out);
                out
            }
        }
    }

    pub(super) fn piece(&self, piece: &str, kind: url::Piece, out: &mut String) {
        let rule = match kind {
            url::Piece::UserInfo => Rule::UserInfo,
            url::Piece::Value => Rule::Url,
        };
        self.hide(piece, rule, out);
    }

    /// The text without what looks like a secret. Of a long one no more is searched, and no more
    /// is kept, than can leave.
    pub(super) fn searched(&self, text: &str) -> Option<String> {
        let limit = self.max_length.saturating_mul(4).saturating_add(SLACK);
        if text.len() <= limit {
            let hits = scan::scan(text);
            return (!hits.is_empty()).then(|| self.without(text, &hits, text.len()));
        }
        let window = text
            .get(..text.floor_char_boundary(limit))
            .unwrap_or_default();
        let hits = scan::scan(window);
        let kept = window.floor_char_boundary(window.len() - MARGIN);
        let mut out = self.without(window, &hits, kept);
        out.push(CUT);
        Some(out)
    }

    /// The first `kept` bytes of a text with marks for what was found; a mark may go beyond.
    pub(super) fn without(&self, text: &str, hits: &[Hit], kept: usize) -> String {
        let mut out = String::with_capacity(text.len() + 16);
        let mut from = 0;
        for hit in hits.iter().take_while(|hit| hit.start < kept) {
            out.push_str(text.get(from..hit.start).unwrap_or_default());
            self.hide(
                text.get(hit.start..hit.end).unwrap_or_default(),
                hit.rule,
                &mut out,
            );
            from = hit.end;
        }
        out.push_str(text.get(from..kept).unwrap_or_default());
        out
    }

    pub(super) fn hide(&self, secret: &str, rule: Rule, out: &mut String) {
        self.tally.add(rule);
        mark::write(out, rule, self.action(rule), self.hash_key.as_ref(), secret);
    }
}

/// Where a text that has too many characters is cut, so that one more fits; never within a mark.
pub(super) fn cut(text: &str, most: usize) -> Option<usize> {
    if text.len() <= most {
        return None;
    }
    let mut places = text.char_indices().map(|(at, _)| at);
    let at = places.nth(most - 1)?;
    places.next()?;
    let near = text.floor_char_boundary(at.saturating_sub(64));
    let marks = text.get(near..at)?.rmatch_indices('[');
    let split = marks.map(|(index, _)| near + index).find(|start| {
        let length = text.get(*start..).and_then(mark::end);
        length.is_some_and(|length| start + length > at)
    });
    Some(split.unwrap_or(at))
}
