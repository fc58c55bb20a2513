//! Protobuf as it stands in bytes: tags, lengths, values. Nothing here knows what a field means.

use std::ops::Range;

use super::schema::WireType;

/// A field as it stands in a message. Its places are counted from the beginning of all bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) number: u32,
    pub(super) wire_type: WireType,
    /// From its tag to its end.
    pub(super) whole: Range<usize>,
    /// What it holds, without tag and length.
    pub(super) content: Range<usize>,
}

/// The bytes are no protobuf, from this place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) at: usize,
}

/// The fields of the message that stands in a part of `bytes`.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn of(bytes: &'a [u8], part: &Range<usize>) -> Self {
        Self {
            bytes,
            at: part.start,
            end: part.end,
        }
    }

    /// The next field, if there is one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Raw>, Broken> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.at;
        let broken = Broken { at: start };
        let tag = self.varint().ok_or(broken)?;
        let number = u32::try_from(tag >> 3).ok().ok_or(broken)?;
        if number == 0 || number >= 1 << 29 {
            return Err(broken);
        }
        let mut begin = self.at;
        let (wire_type, length) = match tag & 7 {
            0 => {
                self.varint().ok_or(broken)?;
                (WireType::Varint, self.at - begin)
            }
            1 => (WireType::Fixed64, 8),
            2 => {
                let length = self.varint().ok_or(broken)?;
                begin = self.at;
                (
                    WireType::Delimited,
                    usize::try_from(length).ok().ok_or(broken)?,
                )
            }
            5 => (WireType::Fixed32, 4),
            // Groups are of the past.
            _ => return Err(broken),
        };
        let end = begin.checked_add(length).filter(|end| *end <= self.end);
        let end = end.ok_or(broken)?;
        self.at = end;
        Ok(Some(Raw {
            number,
            wire_type,
            whole: start..end,
            content: begin..end,
        }))
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).filter(|_| self.at < self.end)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

/// The number in the content of a field that is a varint.
pub(super) fn varint(content: &[u8]) -> u64 {
    let low = |(place, byte): (usize, &u8)| {
        let shift = u32::try_from(7 * place).unwrap_or(u32::MAX);
        u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0)
    };
    content
        .iter()
        .enumerate()
        .map(low)
        .fold(0, |sum, bits| sum | bits)
}

/// The number in the content of a field of eight bytes.
pub(super) fn fixed64(content: &[u8]) -> u64 {
    content
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the tag of a field.
pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    let kind = match wire_type {
        WireType::Varint => 0,
        WireType::Fixed64 => 1,
        WireType::Delimited => 2,
        WireType::Fixed32 => 5,
    };
    put_varint(out, u64::from(number) << 3 | kind);
}

/// Appends a field of bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, WireType::Delimited);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field of a number.
pub(super) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, WireType::Varint);
    put_varint(out, value);
}

/// Begins a field whose content is to be appended, and whose length is not known yet: gives back where
/// that is put by [`close`].
pub(super) fn open(out: &mut Vec<u8>, number: u32) -> usize {
    put_tag(out, number, WireType::Delimited);
    // Most messages are short, so that this is all the room that their length takes.
    out.push(0);
    out.len()
}

/// Puts the length before what was appended since [`open`] gave back `from`.
pub(super) fn close(out: &mut Vec<u8>, from: usize) {
    let length = out.len().saturating_sub(from) as u64;
    let Some(place) = from.checked_sub(1).and_then(|at| out.get_mut(at)) else {
        return;
    };
    if length < 0x80 {
        *place = length as u8;
        return;
    }
    *place = length as u8 | 0x80;
    let end = out.len();
    put_varint(out, length >> 7);
    let size = out.len() - end;
    if let Some(tail) = out.get_mut(from..) {
        tail.rotate_right(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Raw>, Broken> {
        let mut fields = Fields::of(bytes, &(0..bytes.len()));
        let mut found = Vec::new();
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn what_was_put_is_found() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 10, u64::MAX);
        put_bytes(&mut bytes, 1, b"abc");
        let fields = all(&bytes).unwrap();
        assert_eq!(varint(&bytes[fields[0].content.clone()]), u64::MAX);
        assert_eq!(&bytes[fields[1].content.clone()], b"abc");
        assert_eq!(fields[1].whole.end, bytes.len());
    }

    #[test]
    fn a_length_that_is_put_last_stands_before() {
        for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
            let content = vec![9; length];
            let (mut bytes, mut expected) = (vec![7], vec![7]);
            let from = open(&mut bytes, 3);
            bytes.extend_from_slice(&content);
            close(&mut bytes, from);
            put_bytes(&mut expected, 3, &content);
            assert_eq!(bytes, expected, "{length}");
        }
    }

    #[test]
    fn what_is_cut_off_or_none_of_it_is_broken() {
        for bytes in [
            &[0x0A][..],
            &[0x0A, 0x05, 1],
            &[0x0B],
            &[0x00],
            &[0x09, 1, 2, 3],
            &[0x08, 0xFF],
            &[
                0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
            ],
            &[
                0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
            ],
        ] {
            assert_eq!(all(bytes), Err(Broken { at: 0 }), "{bytes:?}");
        }
    }
}
