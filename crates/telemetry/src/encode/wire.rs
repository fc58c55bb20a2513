//! The wire format of Protocol Buffers, as far as OTLP needs it.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is being written. A field that has its default is left out by those who write
/// it where the format asks for that.
#[derive(Debug, Default)]
pub(super) struct Wire(Vec<u8>);

/// How many bytes a number takes as a varint.
#[inline]
pub(super) const fn varint_length(value: u64) -> usize {
    // Seven bits a byte, and one byte for zero.
    ((70 - (value | 1).leading_zeros()) / 7) as usize
}

/// How many bytes a text or bytes take in a message whose field's number is below 16.
#[inline]
pub(super) const fn delimited_length(bytes: usize) -> usize {
    1 + varint_length(bytes as u64) + bytes
}

impl Wire {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn number(&mut self, field: u64, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    pub(super) fn fixed32(&mut self, field: u64, value: u32) {
        self.key(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed64(&mut self, field: u64, value: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.head(field, bytes.len());
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    pub(super) fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// The beginning of a message or of bytes that follow at once.
    #[inline]
    pub(super) fn head(&mut self, field: u64, length: usize) {
        self.key(field, LENGTH_DELIMITED);
        self.varint(length as u64);
    }

    /// What has been written elsewhere.
    pub(super) fn append(&mut self, written: &Self) {
        self.0.extend_from_slice(&written.0);
    }

    /// A message within this one. Its length is known only once it is written: one byte is left
    /// free for it, and a message that needs more is moved up. Where the length is known, or easily
    /// found, [`Self::head`] is cheaper.
    pub(super) fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        self.key(field, LENGTH_DELIMITED);
        let at = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - at - 1;
        let bytes = varint_length(length as u64);
        if bytes > 1 {
            self.0.resize(self.0.len() + bytes - 1, 0);
            self.0.copy_within(at + 1..at + 1 + length, at + bytes);
        }
        let mut rest = length as u64;
        for slot in self.0.iter_mut().skip(at).take(bytes) {
            *slot = (rest & 0x7f) as u8 | 0x80;
            rest >>= 7;
        }
        if let Some(last) = self.0.get_mut(at + bytes - 1) {
            *last &= 0x7f;
        }
    }

    /// Makes room for so many bytes at once.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    #[inline]
    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_foretold() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX / 2, u64::MAX] {
            let mut wire = Wire::default();
            wire.varint(value);
            assert_eq!(wire.len(), varint_length(value), "{value}");
        }
        for length in [0, 127, 128, 20_000] {
            let mut wire = Wire::default();
            wire.bytes(15, &vec![0; length]);
            assert_eq!(wire.len(), delimited_length(length));
        }
    }
}
