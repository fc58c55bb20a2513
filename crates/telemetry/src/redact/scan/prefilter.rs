//! Finding, in one pass, the places where a secret may begin or be told by a byte within it.
//!
//! Most text holds none. So a byte is looked at once: whether it alone is a sign (`@`, `=`, …), a
//! digit, or may begin one of the known forms. Only then do the two bytes after it count.

use std::sync::LazyLock;

use super::iban;
use super::token::FORMS;

/// Bytes that alone may tell a secret.
const SIGNS: [u8; 11] = *b"@:=%>'\"`-~[";

/// What begins a secret, other than the forms of API keys.
const WORDS: [&str; 3] = ["bearer", "basic", "eyJ"];

/// What a byte may be: a sign, a digit, the first byte of a form.
const SIGN: u8 = 1;
const DIGIT: u8 = 2;
const FIRST: u8 = 4;

pub(super) struct Prefilter {
    /// What each byte may be.
    classes: [u8; 256],
    /// One bit for each hash of three bytes.
    trigrams: Box<[u64]>,
    /// The numbers of the forms that begin with a byte.
    forms: Vec<Vec<usize>>,
}

static PREFILTER: LazyLock<Prefilter> = LazyLock::new(Prefilter::new);

impl Prefilter {
    pub(super) fn get() -> &'static Self {
        &PREFILTER
    }

    fn new() -> Self {
        let mut made = Self {
            classes: [0; 256],
            trigrams: vec![0; 1024].into_boxed_slice(),
            forms: vec![Vec::new(); 256],
        };
        for (byte, class) in (0..=u8::MAX).zip(&mut made.classes) {
            let is_sign = SIGNS.contains(&byte);
            *class = if is_sign { SIGN } else { 0 } | if byte.is_ascii_digit() { DIGIT } else { 0 };
        }
        for (number, form) in FORMS.iter().enumerate() {
            let bytes = form.prefix.as_bytes();
            if let Some(&[a, b, c]) = bytes.first_chunk::<3>() {
                made.insert(a, b, c);
            } else if let &[a, b] = bytes {
                let followers = (0..=u8::MAX).filter(|byte| form.charset.has(*byte));
                followers.for_each(|c| made.insert(a, b, c));
            }
            let first = bytes.first().copied().unwrap_or(0);
            if let Some(list) = made.forms.get_mut(usize::from(first)) {
                list.push(number);
            }
        }
        for word in WORDS {
            if let Some(&[a, b, c]) = word.as_bytes().first_chunk::<3>() {
                made.insert(a, b, c);
            }
        }
        for country in iban::countries() {
            if let &[a, b] = country.as_bytes() {
                (b'0'..=b'9').for_each(|c| made.insert(a, b, c));
            }
        }
        made
    }

    fn insert(&mut self, a: u8, b: u8, c: u8) {
        let hash = hash(a, b, c);
        if let Some(bits) = self.trigrams.get_mut(hash >> 6) {
            *bits |= 1 << (hash & 63);
        }
        for (byte, class) in (0..=u8::MAX).zip(&mut self.classes) {
            if byte | 0x20 == a | 0x20 {
                *class |= FIRST;
            }
        }
    }

    /// The forms that begin with this byte.
    pub(super) fn forms(&self, first: u8) -> &[usize] {
        self.forms
            .get(usize::from(first))
            .map_or(&[], Vec::as_slice)
    }

    /// The first place at or after `from` that is worth a look.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let rest = bytes.get(from..)?;
        for (offset, three) in rest.windows(3).enumerate() {
            let &[a, b, c] = three else { continue };
            let class = self.class(a);
            if class != 0 && self.is_worth_a_look(class, a, b, c) {
                return Some(from + offset);
            }
        }
        // A secret is longer than two bytes, but the sign of one may stand within the last two.
        let tail = rest.len().saturating_sub(2);
        let signs = rest.get(tail..)?;
        let offset = (signs.iter()).position(|byte| self.class(*byte) & SIGN != 0)?;
        Some(from + tail + offset)
    }

    #[inline]
    fn class(&self, byte: u8) -> u8 {
        self.classes.get(usize::from(byte)).copied().unwrap_or(0)
    }

    #[inline]
    fn is_worth_a_look(&self, class: u8, a: u8, b: u8, c: u8) -> bool {
        if class & SIGN != 0 {
            return true;
        }
        // Three digits may begin the number of a card.
        if class & DIGIT != 0 && self.class(b) & self.class(c) & DIGIT != 0 {
            return true;
        }
        if class & FIRST == 0 {
            return false;
        }
        let hash = hash(a, b, c);
        let bits = self.trigrams.get(hash >> 6).copied().unwrap_or(0);
        bits >> (hash & 63) & 1 == 1
    }
}

/// 16 bits for three bytes, the same for upper and lower case.
fn hash(a: u8, b: u8, c: u8) -> usize {
    let three = u32::from(a | 0x20) | u32::from(b | 0x20) << 8 | u32::from(c | 0x20) << 16;
    usize::try_from(three.wrapping_mul(0x9E37_79B1) >> 16).unwrap_or(0)
}
