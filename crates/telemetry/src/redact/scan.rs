//! Finding secrets in a text by how they look.
//!
//! A [`prefilter`] names the places worth a look; here each is looked at by what stands there. No
//! detector runs over the same bytes again and again: looks back are bounded by a constant, looks
//! ahead are remembered ([`Run`]), so that the whole takes time linear in the text.

mod address;
mod armour;
mod assignment;
mod credentials;
mod digits;
mod iban;
mod prefilter;
mod token;
mod value;

use prefilter::Prefilter;

pub(super) use digits::is_card_number;

use super::mark;
use super::rule::Rule;

/// How far beyond a value a secret that begins within it is looked for.
const LOOKAHEAD: usize = 128;

/// A piece of a text that may not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) rule: Rule,
}

/// What stands at a place.
enum Look {
    Found(Hit),
    /// Nothing; go on there.
    On(usize),
}

/// What may not leave of a text, from left to right.
pub(super) fn scan(text: &str) -> Vec<Hit> {
    let mut scanner = Scanner::new(text);
    scanner.run();
    scanner.hits
}

/// A look ahead that is remembered: from anywhere within it, it ends at the same place.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    start: usize,
    end: usize,
}

struct Scanner<'text> {
    text: &'text str,
    bytes: &'text [u8],
    /// Where the last hit ended; nothing before it is looked at again.
    floor: usize,
    hits: Vec<Hit>,
    /// Whether this is a search within something found.
    nested: bool,
    /// The last runs of characters of a word, of credentials and of a URL.
    word: Run,
    token: Run,
    url: Run,
    /// How many bytes were looked at, beside the prefilter's.
    #[cfg(test)]
    steps: std::cell::Cell<usize>,
}

impl<'text> Scanner<'text> {
    fn new(text: &'text str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            floor: 0,
            hits: Vec::new(),
            nested: false,
            word: Run::default(),
            token: Run::default(),
            url: Run::default(),
            #[cfg(test)]
            steps: std::cell::Cell::new(0),
        }
    }

    fn run(&mut self) {
        let prefilter = Prefilter::get();
        let mut at = 0;
        while let Some(place) = prefilter.next(self.bytes, at) {
            at = match self.look(prefilter, place) {
                Look::Found(hit) => {
                    self.floor = hit.end;
                    self.hits.push(hit);
                    hit.end
                }
                Look::On(next) => next.max(place + 1),
            };
        }
    }

    fn look(&mut self, prefilter: &Prefilter, at: usize) -> Look {
        let found = match self.at(at) {
            b'[' => {
                let end = self.text.get(at..).and_then(mark::end);
                return match end {
                    // A mark is never a part of what is found after it.
                    Some(end) => {
                        self.floor = at + end;
                        Look::On(at + end)
                    }
                    None => Look::On(at + 1),
                };
            }
            b'@' => address::email(self, at, 1),
            b':' => self.colon(at),
            b'=' => assignment::after_sign(self, at),
            b'%' => self.percent(at),
            b'>' => assignment::in_element(self, at),
            b'\'' | b'"' | b'`' => assignment::quoted(self, at),
            b'-' => self.dash(at),
            b'~' => credentials::azure_secret(self, at),
            byte if byte.is_ascii_digit() => return self.number(at),
            byte => self.letter(prefilter, byte, at),
        };
        match found {
            Some(hit) if hit.start >= self.floor && hit.end > hit.start => {
                Look::Found(self.whole(armour::whole(self, hit)))
            }
            _ => Look::On(at + 1),
        }
    }

    /// The hit, or more, if another secret begins within what a name called secret, and ends
    /// beyond: what were left of it would no longer be told.
    fn whole(&mut self, hit: Hit) -> Hit {
        if hit.rule != Rule::Secret || self.nested {
            return hit;
        }
        let bound = self.text.len().min(hit.end + LOOKAHEAD);
        let bound = self.text.floor_char_boundary(bound);
        let near = self.text.get(hit.start..bound).unwrap_or_default();
        let mut within = Self::new(near);
        within.nested = true;
        within.run();
        self.count(near.len());
        let length = hit.end - hit.start;
        let crosses = |inner: &&Hit| inner.start < length && inner.end > length;
        let Some(inner) = within.hits.iter().find(crosses) else {
            return hit;
        };
        let mut end = hit.start + inner.end;
        if end == bound {
            end = self.token_end(end);
        }
        Hit { end, ..hit }
    }

    fn colon(&mut self, at: usize) -> Option<Hit> {
        if self.at(at + 1) == b'/' && self.at(at + 2) == b'/' {
            return address::user_info(self, at + 3, b"@");
        }
        credentials::telegram(self, at).or_else(|| assignment::after_sign(self, at))
    }

    fn percent(&mut self, at: usize) -> Option<Hit> {
        match (self.at(at + 1), self.at(at + 2)) {
            (b'4', b'0') => address::email(self, at, 3),
            (b'3', b'A' | b'a') if self.follows(at + 3, b"%2F%2F") => {
                address::user_info(self, at + 9, b"%40")
            }
            (b'3', b'A' | b'a' | b'D' | b'd') => assignment::after_encoded_sign(self, at),
            _ => None,
        }
    }

    fn dash(&mut self, at: usize) -> Option<Hit> {
        if self.at(at + 1) == b'-' {
            return armour::private_key(self, at).or_else(|| assignment::flag(self, at));
        }
        credentials::mailchimp(self, at)
    }

    fn number(&self, at: usize) -> Look {
        if let Some(end) = digits::card_end(self, at) {
            let rule = Rule::Card;
            return Look::Found(Hit {
                start: at,
                end,
                rule,
            });
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        let run = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.count(run);
        Look::On(at + run)
    }

    fn letter(&mut self, prefilter: &Prefilter, byte: u8, at: usize) -> Option<Hit> {
        match byte {
            b'b' | b'B' => {
                if let Some(hit) =
                    credentials::bearer(self, at).or_else(|| credentials::basic(self, at))
                {
                    return Some(hit);
                }
            }
            b'e' => {
                if let Some(hit) = credentials::jwt(self, at) {
                    return Some(hit);
                }
            }
            _ => {}
        }
        if self.at(at + 2).is_ascii_digit()
            && let Some(end) = iban::end(self, at)
        {
            let rule = Rule::Iban;
            return Some(Hit {
                start: at,
                end,
                rule,
            });
        }
        let forms = prefilter.forms(byte).iter();
        forms
            .filter_map(|number| token::FORMS.get(*number))
            .find_map(|form| self.form(form, at))
    }

    fn form(&self, form: &token::Form, at: usize) -> Option<Hit> {
        let head = form.prefix.as_bytes();
        let rest = self.bytes.get(at..)?.strip_prefix(head)?;
        if form.apart && self.byte_before(at).is_ascii_alphanumeric() {
            return None;
        }
        // A run that is too short is at most that long, so that failing costs little.
        let run = rest
            .iter()
            .take_while(|byte| form.charset.has(**byte))
            .count();
        self.count(run.min(form.least) + head.len());
        let rule = form.rule;
        let end = at + head.len() + run;
        (run >= form.least && run <= form.most).then_some(Hit {
            start: at,
            end,
            rule,
        })
    }

    /// The byte at a place; zero beyond the end.
    fn at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn byte_before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |before| self.at(before))
    }

    /// Whether these bytes, in upper or lower case, stand at a place.
    fn follows(&self, at: usize, what: &[u8]) -> bool {
        let there = self.bytes.get(at..at.saturating_add(what.len()));
        there.is_some_and(|there| there.eq_ignore_ascii_case(what))
    }

    /// Where the run of letters, digits, `-` and `_` around a place ends.
    fn word_end(&mut self, at: usize) -> usize {
        self.word = self.run_at(self.word, at, |byte| token::Charset::Word.has(byte));
        self.word.end
    }

    /// Where the credentials around a place end.
    fn token_end(&mut self, at: usize) -> usize {
        let belongs = |b: u8| token::Charset::Base64.has(b) || matches!(b, b'~' | b'%' | b'|');
        self.token = self.run_at(self.token, at, belongs);
        self.token.end
    }

    /// Where the URL around a place ends: at a space, a quote or an angle bracket.
    fn url_end(&mut self, at: usize) -> usize {
        self.url = self.run_at(self.url, at, |byte| !ends_url(byte));
        self.url.end
    }

    /// The run around a place: the one known, or the one that begins there.
    fn run_at(&self, known: Run, at: usize, belongs: impl Fn(u8) -> bool) -> Run {
        if (known.start..known.end).contains(&at) {
            return known;
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| belongs(**byte)).count();
        self.count(length);
        let end = at + length;
        Run { start: at, end }
    }

    #[cfg(test)]
    fn count(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps + 1);
    }

    #[cfg(not(test))]
    const fn count(&self, _steps: usize) {}
}

const fn ends_url(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
}

#[cfg(test)]
mod tests;
