//! The wire format of Protocol Buffers, read where it lies.

use super::error::{OtlpError, Problem};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is being read: what is left of it, and where that lies in the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a> {
    rest: &'a [u8],
    at: usize,
    part: &'static str,
}

/// A field as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) raw: Raw<'a>,
    at: usize,
    part: &'static str,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8], usize),
}

impl<'a> Wire<'a> {
    pub(super) const fn new(bytes: &'a [u8], part: &'static str) -> Self {
        Self {
            rest: bytes,
            at: 0,
            part,
        }
    }

    pub(super) const fn bytes(self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn fault(&self, problem: Problem) -> OtlpError {
        fault(problem, self.part, self.at)
    }

    /// The next field, or nothing at the end. Always inlined: a field is too large to be handed over
    /// in registers, and what a caller does not ask for need not be made.
    #[inline(always)]
    pub(super) fn field(&mut self) -> Result<Option<Field<'a>>, OtlpError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (at, part) = (self.at, self.part);
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 || tag > u64::from(u32::MAX) {
            return Err(fault(Problem::FieldNumber, part, at));
        }
        let raw = match tag & 7 {
            VARINT => Raw::Varint(self.varint()?),
            FIXED64 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
            FIXED32 => Raw::Fixed32(u32::from_le_bytes(self.array()?)),
            LENGTH_DELIMITED => {
                let length = self.varint()?;
                let begins = self.at;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Raw::Bytes(self.take(length)?, begins)
            }
            _ => return Err(fault(Problem::WireType, part, at)),
        };
        Ok(Some(Field {
            number,
            raw,
            at,
            part,
        }))
    }

    /// The next field of a message that was checked: damage, which cannot be, ends it.
    #[inline]
    pub(super) fn checked(&mut self) -> Option<Field<'a>> {
        self.field().ok().flatten()
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, OtlpError> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, OtlpError> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.take(index + 1)?;
                return Ok(value);
            }
        }
        let problem = match self.rest.len() {
            0..10 => Problem::CutShort,
            _ => Problem::Number,
        };
        Err(self.fault(problem))
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], OtlpError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.fault(Problem::CutShort));
        };
        self.rest = rest;
        self.at += length;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], OtlpError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.fault(Problem::CutShort));
        };
        self.rest = rest;
        self.at += N;
        Ok(*taken)
    }
}

impl<'a> Field<'a> {
    pub(super) const fn fault(&self, problem: Problem) -> OtlpError {
        fault(problem, self.part, self.at)
    }

    /// A message within, which is called `part` where it is damaged.
    #[inline]
    pub(super) const fn message(&self, part: &'static str) -> Result<Wire<'a>, OtlpError> {
        match self.raw {
            Raw::Bytes(rest, at) => Ok(Wire { rest, at, part }),
            _ => Err(self.fault(Problem::FieldType)),
        }
    }

    #[inline]
    pub(super) const fn bytes(&self) -> Result<&'a [u8], OtlpError> {
        match self.raw {
            Raw::Bytes(bytes, _) => Ok(bytes),
            _ => Err(self.fault(Problem::FieldType)),
        }
    }

    #[inline]
    pub(super) fn text(&self) -> Result<&'a str, OtlpError> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map_err(|_ignored| self.fault(Problem::Text))
    }

    #[inline]
    pub(super) const fn varint(&self) -> Result<u64, OtlpError> {
        match self.raw {
            Raw::Varint(value) => Ok(value),
            _ => Err(self.fault(Problem::FieldType)),
        }
    }

    /// A whole number of 32 bits; as everywhere in this format, higher bits do not count.
    #[inline]
    pub(super) fn number(&self) -> Result<u32, OtlpError> {
        Ok((self.varint()? & u64::from(u32::MAX)) as u32)
    }

    #[inline]
    pub(super) const fn fixed64(&self) -> Result<u64, OtlpError> {
        match self.raw {
            Raw::Fixed64(value) => Ok(value),
            _ => Err(self.fault(Problem::FieldType)),
        }
    }

    #[inline]
    pub(super) const fn fixed32(&self) -> Result<u32, OtlpError> {
        match self.raw {
            Raw::Fixed32(value) => Ok(value),
            _ => Err(self.fault(Problem::FieldType)),
        }
    }
}

#[cold]
const fn fault(problem: Problem, part: &'static str, at: usize) -> OtlpError {
    OtlpError {
        problem,
        part,
        at,
        one_span: false,
    }
}
