//! The numbers of payment cards.

use super::Scanner;

const FEWEST: usize = 14;
const MOST: usize = 19;
/// How many digits tell whose card it is.
const HEAD: usize = 4;

/// Where the card number that begins with the digit at `at` ends.
pub(super) fn card_end(scanner: &Scanner<'_>, at: usize) -> Option<usize> {
    let before = scanner.byte_before(at);
    // Within a hash, a word or a fraction.
    if before.is_ascii_alphanumeric()
        || (before == b'.' && scanner.byte_before(at.saturating_sub(1)).is_ascii_digit())
    {
        return None;
    }
    let mut digits = [0_u8; MOST];
    let mut taken = 0;
    let mut end = at;
    let mut groups = 0;
    let mut group = 0;
    let mut found = None;
    loop {
        let byte = scanner.at(end);
        if byte.is_ascii_digit() {
            let Some(slot) = digits.get_mut(taken) else {
                break;
            };
            *slot = byte - b'0';
            taken += 1;
            group += 1;
            end += 1;
            if taken == HEAD && lengths(&digits).is_none() {
                return None;
            }
            continue;
        }
        let number = digits.get(..taken).unwrap_or_default();
        let fits_group = groups == 0 || group <= 6;
        if !byte.is_ascii_alphabetic() && fits_group && fits(number, groups > 0) {
            found = Some(end);
        }
        // Cards are printed in groups of three to six digits.
        let Some(gap) = separator(scanner, end).filter(|_| (3..=6).contains(&group)) else {
            break;
        };
        if !scanner.at(end + gap).is_ascii_digit() {
            break;
        }
        end += gap;
        groups += 1;
        group = 0;
    }
    found
}

/// Whether a whole number, as it stands in an attribute, is that of a card.
pub(in super::super) fn is_card_number(number: i64) -> bool {
    // Smaller numbers are the most common attributes of all.
    if number < 10_i64.pow(13) {
        return false;
    }
    let mut digits = [0_u8; MOST];
    let mut rest = number;
    let mut first = MOST;
    while rest > 0 && first > 0 {
        first -= 1;
        if let Some(slot) = digits.get_mut(first) {
            *slot = u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
    }
    fits(digits.get(first..).unwrap_or_default(), false)
}

/// The length of what may stand between the groups of a number, at most three signs; `None` if
/// nothing such does.
pub(super) fn separator(scanner: &Scanner<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    for _ in 0..3 {
        let Some(length) = sign(scanner, end) else {
            break;
        };
        end += length;
    }
    (end > at).then_some(end - at)
}

fn sign(scanner: &Scanner<'_>, at: usize) -> Option<usize> {
    match scanner.at(at) {
        b' ' | b'\t' | b'\n' | b'\r' | b'-' | b'.' | b'_' | b'/' | b',' | b'+' | b':' => Some(1),
        b'%' => (scanner.follows(at, b"%20") || scanner.follows(at, b"%2D")).then_some(3),
        // No-break space.
        0xc2 => (scanner.at(at + 1) == 0xa0).then_some(2),
        // Spaces and dashes of all widths, and the narrow no-break space.
        0xe2 => {
            let is_sign = matches!(scanner.at(at + 2), 0x80..=0x8b | 0x90..=0x95 | 0xaf);
            (scanner.at(at + 1) == 0x80 && is_sign).then_some(3)
        }
        _ => None,
    }
}

/// Whether digits are the number of a card: a known prefix, its length, and the check digit.
fn fits(digits: &[u8], grouped: bool) -> bool {
    let length = digits.len();
    if !(FEWEST..=MOST).contains(&length) {
        return false;
    }
    let known = lengths(digits).is_some_and(|(alone, in_groups)| {
        alone.contains(&length) || (grouped && in_groups.contains(&length))
    });
    known && luhn(digits)
}

/// How many digits a number that begins like this has, in one piece and in groups; `None` if no
/// card begins so.
fn lengths(digits: &[u8]) -> Option<(&'static [usize], &'static [usize])> {
    let digits = digits.iter().take(HEAD);
    let head = digits.fold(0, |head, digit| head * 10 + u32::from(*digit));
    let lengths: (&[usize], &[usize]) = match head {
        // Visa and Discover. A number of 19 digits in one piece is rather a hash.
        4000..=4999 | 6011 | 6440..=6599 => (&[16], &[19]),
        // Mastercard, JCB, Mir.
        5100..=5599 | 2221..=2720 | 3528..=3589 | 2200..=2204 => (&[16], &[]),
        // American Express.
        3400..=3499 | 3700..=3799 => (&[15], &[]),
        // Diners Club.
        3000..=3059 | 3600..=3699 | 3800..=3999 => (&[14, 16], &[]),
        // UnionPay.
        6200..=6299 => (&[16, 19], &[]),
        // Maestro.
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => (&[16, 17, 18, 19], &[]),
        _ => return None,
    };
    Some(lengths)
}

fn luhn(digits: &[u8]) -> bool {
    let weighted = digits.iter().rev().enumerate().map(|(index, digit)| {
        let doubled = u32::from(*digit) * if index % 2 == 1 { 2 } else { 1 };
        if doubled > 9 { doubled - 9 } else { doubled }
    });
    weighted.sum::<u32>() % 10 == 0
}
