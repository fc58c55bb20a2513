//! IBANs.

use super::{Scanner, digits::separator};

/// Countries and the length of their IBANs, from the registry that SWIFT keeps.
const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

pub(super) fn countries() -> impl Iterator<Item = &'static str> {
    LENGTHS.iter().map(|(country, _)| *country)
}

/// Where the IBAN that begins at `at` ends.
pub(super) fn end(scanner: &Scanner<'_>, at: usize) -> Option<usize> {
    if !scanner.at(at + 3).is_ascii_digit() || scanner.byte_before(at).is_ascii_alphanumeric() {
        return None;
    }
    // In lower case it is a piece of a uuid, rather.
    if scanner.byte_before(at) == b'-' && scanner.at(at).is_ascii_lowercase() {
        return None;
    }
    let country = [scanner.at(at), scanner.at(at + 1)].map(|byte| byte.to_ascii_uppercase());
    let known = LENGTHS.iter().find(|(name, _)| name.as_bytes() == country);
    let (_, length) = known?;
    // The country and the check digits count last.
    let mut head = Remainder::default();
    let mut rest = Remainder::default();
    let mut end = at;
    let mut taken = 0;
    while taken < *length {
        let byte = scanner.at(end);
        if !byte.is_ascii_alphanumeric() {
            let gap = separator(scanner, end).filter(|_| taken > 0)?;
            end += gap;
            if !scanner.at(end).is_ascii_alphanumeric() {
                return None;
            }
            continue;
        }
        if taken < 4 {
            head.push(byte)
        } else {
            rest.push(byte)
        }
        taken += 1;
        end += 1;
    }
    let whole = rest.followed_by(&head);
    (whole == 1 && !scanner.at(end).is_ascii_alphanumeric()).then_some(end)
}

/// A number, read digit by digit, modulo 97; letters are 10 to 35.
#[derive(Default)]
struct Remainder {
    value: u32,
    /// Ten to the power of the digits, modulo 97.
    shift: u32,
}

impl Remainder {
    fn push(&mut self, byte: u8) {
        let digit = char::from(byte).to_digit(36).unwrap_or(0);
        let places = if digit < 10 { 10 } else { 100 };
        self.value = (self.value * places + digit) % 97;
        self.shift = self.shift.max(1) * places % 97;
    }

    fn followed_by(&self, tail: &Self) -> u32 {
        (self.value * tail.shift.max(1) + tail.value) % 97
    }
}
