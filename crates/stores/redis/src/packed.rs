//! Values as the server's Lua packs them (MessagePack), as far as records have them.

/// A value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// Nothing, or no.
    Nothing,
    /// Yes.
    Yes,
    Number(i64),
    Text(Vec<u8>),
}

/// The values of an array, or nothing if these bytes are no array of such.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<Packed>> {
    let mut rest = Reader { bytes };
    let count = match rest.byte()? {
        tag @ 0x90..=0x9f => usize::from(tag & 0x0f),
        0xdc => usize::try_from(rest.unsigned(2)?).ok()?,
        _ => return None,
    };
    let values = (0..count).map(|_| rest.value()).collect();
    rest.bytes.is_empty().then_some(values)?
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number of so many bytes, at most eight.
    fn unsigned(&mut self, count: usize) -> Option<u64> {
        let digit = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(self.take(count)?.iter().fold(0, digit))
    }

    fn signed(&mut self, count: usize) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(count).ok()?;
        let number = self.unsigned(count)?.cast_signed();
        Some((number << unused) >> unused)
    }

    fn text(&mut self, length: u64) -> Option<Packed> {
        let text = self.take(usize::try_from(length).ok()?)?;
        Some(Packed::Text(text.to_vec()))
    }

    fn value(&mut self) -> Option<Packed> {
        let tag = self.byte()?;
        let width = |of: u8| 1_usize << (tag - of);
        match tag {
            0x00..=0x7f => Some(Packed::Number(i64::from(tag))),
            0xe0..=0xff => Some(Packed::Number(i64::from(tag.cast_signed()))),
            0xc0 | 0xc2 => Some(Packed::Nothing),
            0xc3 => Some(Packed::Yes),
            0xcc..=0xcf => {
                let number = self.unsigned(width(0xcc))?;
                Some(Packed::Number(i64::try_from(number).ok()?))
            }
            0xd0..=0xd3 => self.signed(width(0xd0)).map(Packed::Number),
            0xa0..=0xbf => self.text(u64::from(tag & 0x1f)),
            0xd9..=0xdb => {
                let length = self.unsigned(width(0xd9))?;
                self.text(length)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_each_width_are_read() {
        let text = |text: &str| Packed::Text(text.into());
        let long = "x".repeat(300);
        let mut bytes = vec![0x9b, 0xc2, 0xc3, 0x07, 0xff, 0xcc, 0xff];
        bytes.extend([0xcd, 0x01, 0x00, 0xd1, 0xff, 0x00]);
        bytes.extend([0xcf, 0, 6, 0x46, 0xd3, 0x41, 0xb4, 0x7c, 0x00]);
        bytes.extend(*b"\xa3ann\xd9\x02ab\xda\x01\x2c");
        bytes.extend(long.bytes());
        let expected = [
            Packed::Nothing,
            Packed::Yes,
            Packed::Number(7),
            Packed::Number(-1),
            Packed::Number(255),
            Packed::Number(256),
            Packed::Number(-256),
            Packed::Number(0x0006_46d3_41b4_7c00),
            text("ann"),
            text("ab"),
            text(&long),
        ];
        assert_eq!(read(&bytes).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_or_too_long_or_something_else_is_refused() {
        let whole = *b"\x92\xa3ann\xcd\x01\x00";
        assert!(read(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None);
        }
        assert_eq!(read(b"\x91\x01\x01"), None);
        // A fraction is in no record.
        assert_eq!(read(b"\x91\xcb\0\0\0\0\0\0\0\0"), None);
        assert_eq!(read(b"SET"), None);
    }
}
