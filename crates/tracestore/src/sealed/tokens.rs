//! Which traces of a sealed file say something: an index of tokens, which lies in the file before its
//! footer, where other readers of Parquet do not look.
//!
//! It is laid out so that a token is looked up with two small reads, and nothing of it is held in
//! memory: `docs/trace-store.md` describes it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::token::Token;

/// The key under which a file says where its index is: the first byte, and how many.
pub(super) const TOKENS_KEY: &str = "longshore.tokens";

const MAGIC: [u8; 4] = *b"LST1";
const HEADER: usize = 8;
/// About how many tokens a bucket has.
const IN_BUCKET: usize = 64;
/// Bits of a token that count beyond those that number all: of so many tokens that are not there,
/// one seems to be there.
const SPARE_BITS: u32 = 10;
/// A token that more than one trace in so many has is only said to be common.
const COMMON: usize = 8;
/// How an entry goes on.
const ONE: u64 = 0;
const SEVERAL: u64 = 1;
const EVERYWHERE: u64 = 2;

/// An index that is being made.
#[derive(Debug, Default)]
pub(super) struct Making {
    /// A token in the upper half, the number of a trace in the lower.
    pairs: Vec<u64>,
    traces: u32,
}

impl Making {
    /// Adds the next trace of the file, with what it says.
    pub(super) fn add(&mut self, tokens: &[Token]) {
        let trace = u64::from(self.traces);
        let pairs = tokens.iter().map(|token| u64::from(*token) << 32 | trace);
        self.pairs.extend(pairs);
        self.traces += 1;
    }

    /// The index as it lies in a file.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.pairs.sort_unstable();
        let distinct = self.pairs.chunk_by(|one, other| one >> 32 == other >> 32);
        let distinct = distinct.count();
        let log = |number: usize| number.max(1).next_power_of_two().trailing_zeros();
        let buckets = log(distinct / IN_BUCKET).min(24);
        let bits = (log(distinct) + SPARE_BITS).clamp(buckets.max(1), 32);
        let width = 4 - (self.traces.leading_zeros() / 8).min(3);
        let [bits_byte, buckets_byte, width_byte] =
            [bits, buckets, width].map(|number| number as u8);
        let [m0, m1, m2, m3] = MAGIC;
        let header = [m0, m1, m2, m3, bits_byte, buckets_byte, width_byte, 0];
        let mut index = Vec::from(header);
        let mut body = Vec::new();
        let mut offsets = vec![0_u32];
        let mut left = self.pairs.as_slice();
        for bucket in 0..1_u64 << buckets {
            let end = left.partition_point(|pair| pair >> (64 - buckets).min(63) <= bucket);
            let end = if buckets == 0 { left.len() } else { end };
            let (pairs, rest) = left.split_at_checked(end).unwrap_or((left, &[]));
            left = rest;
            let entries = self.entries(pairs, bits, buckets, width as usize);
            body.extend(sum(&entries, header, bucket).to_le_bytes());
            body.extend(entries);
            offsets.push(u32::try_from(body.len()).unwrap_or(u32::MAX));
        }
        index.extend(offsets.into_iter().flat_map(u32::to_le_bytes));
        index.extend(body);
        index
    }

    fn entries(&self, pairs: &[u64], bits: u32, buckets: u32, width: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(pairs.len() * 4);
        let mut last = 0;
        for of_token in pairs.chunk_by(|one, other| one >> (64 - bits) == other >> (64 - bits)) {
            let Some(first) = of_token.first() else {
                continue;
            };
            let rest = rest_of(*first, bits, buckets);
            let mut traces: Vec<u32> = of_token.iter().map(|pair| *pair as u32).collect();
            traces.sort_unstable();
            traces.dedup();
            let delta = (rest - last) << 2;
            last = rest;
            match traces.as_slice() {
                [one] => {
                    put(&mut bytes, delta | ONE);
                    bytes.extend(one.to_le_bytes().iter().take(width));
                }
                many if many.len() * COMMON > self.traces as usize && many.len() > 2 * COMMON => {
                    put(&mut bytes, delta | EVERYWHERE);
                }
                many => {
                    put(&mut bytes, delta | SEVERAL);
                    put(&mut bytes, many.len() as u64);
                    let mut before = 0;
                    for trace in many {
                        put(&mut bytes, u64::from(trace - before));
                        before = *trace;
                    }
                }
            }
        }
        bytes
    }
}

/// The bits of a token, in the upper half, that count within its bucket.
const fn rest_of(pair: u64, bits: u32, buckets: u32) -> u64 {
    let all = pair >> (64 - bits);
    all & ((1 << (bits - buckets)) - 1)
}

/// What a bucket begins with, so that damage of it, of the header and of where it lies shows.
fn sum(entries: &[u8], header: [u8; HEADER], bucket: u64) -> u32 {
    let seed = u64::from_le_bytes(header).wrapping_add(bucket << 32);
    xxh3_64_with_seed(entries, seed) as u32
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holders {
    /// In none of the traces.
    None,
    /// Perhaps in any.
    Any,
    /// In none but these, by their numbers in the file.
    These(Vec<u32>),
}

/// Where the index of a file is.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenIndex {
    header: [u8; HEADER],
    offset: u64,
    length: u64,
    bits: u32,
    buckets: u32,
    width: usize,
}

impl TokenIndex {
    /// Reads where it is; nothing if there is none that this version knows.
    pub(super) fn open(mut file: &File, said: &str) -> Option<Self> {
        let (offset, length) = said.split_once(' ')?;
        let (offset, length) = (offset.parse().ok()?, length.parse().ok()?);
        let end = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let [m0, m1, m2, m3, bits, buckets, width, _] = header;
        let index = Self {
            header,
            offset,
            length,
            bits: bits.into(),
            buckets: buckets.into(),
            width: width.into(),
        };
        let is_whole = offset.checked_add(length)? <= end && index.body() <= length;
        let is_known = [m0, m1, m2, m3] == MAGIC && (1..=32).contains(&bits) && buckets <= 24;
        (is_whole && is_known && buckets <= bits && (1..=4).contains(&width)).then_some(index)
    }

    /// Where the buckets begin.
    const fn body(&self) -> u64 {
        HEADER as u64 + 4 * ((1 << (self.buckets & 31)) + 1)
    }

    /// Where a token is. What is damaged may be anywhere.
    pub(super) fn find(&self, file: &File, token: Token) -> io::Result<Holders> {
        let pair = u64::from(token) << 32;
        let bucket = pair.checked_shr(64 - self.buckets).unwrap_or(0);
        let mut ends = [0; 8];
        read_at(file, self.offset + HEADER as u64 + 4 * bucket, &mut ends)?;
        let [a, b, c, d, e, f, g, h] = ends;
        let from = u64::from(u32::from_le_bytes([a, b, c, d]));
        let to = u64::from(u32::from_le_bytes([e, f, g, h]));
        let length = to.checked_sub(from).filter(|length| *length >= 4);
        let Some(length) = length.filter(|_| self.body() + to <= self.length) else {
            return Ok(Holders::Any);
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        read_at(file, self.offset + self.body() + from, &mut bytes)?;
        let Some((said, entries)) = bytes.split_first_chunk() else {
            return Ok(Holders::Any);
        };
        if u32::from_le_bytes(*said) != sum(entries, self.header, bucket) {
            return Ok(Holders::Any);
        }
        let rest = rest_of(pair, self.bits, self.buckets);
        Ok(self.look(entries, rest).unwrap_or(Holders::Any))
    }

    fn look(&self, mut entries: &[u8], wanted: u64) -> Option<Holders> {
        let mut at = 0;
        while !entries.is_empty() {
            let head = take(&mut entries)?;
            at += head >> 2;
            if at > wanted {
                return Some(Holders::None);
            }
            let found = at == wanted;
            match head & 3 {
                ONE => {
                    let (one, rest) = entries.split_at_checked(self.width)?;
                    entries = rest;
                    let number = one.iter().rev();
                    let number = number.fold(0, |number, byte| number << 8 | u32::from(*byte));
                    if found {
                        return Some(Holders::These(vec![number]));
                    }
                }
                SEVERAL => {
                    let traces = traces_of(&mut entries)?;
                    if found {
                        return Some(Holders::These(traces));
                    }
                }
                EVERYWHERE if found => return Some(Holders::Any),
                EVERYWHERE => {}
                _ => return None,
            }
        }
        Some(Holders::None)
    }
}

/// The numbers of several traces.
fn traces_of(entries: &mut &[u8]) -> Option<Vec<u32>> {
    let (mut traces, mut trace) = (Vec::new(), 0_u32);
    for _ in 0..take(entries)? {
        trace = trace.checked_add(u32::try_from(take(entries)?).ok()?)?;
        traces.push(trace);
    }
    Some(traces)
}

fn read_at(mut file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::token::token;

    /// An index in a file that has other bytes before and behind it.
    fn file(index: &[u8]) -> Option<(File, TokenIndex)> {
        let name = format!(
            "longshore-tokens-{:016x}",
            longshore_core::Random::next_u64(&longshore_core::SystemRandom)
        );
        let path = std::env::temp_dir().join(name);
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .read(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"before").unwrap();
        file.write_all(index).unwrap();
        file.write_all(b"behind").unwrap();
        let said = format!("6 {}", index.len());
        let index = TokenIndex::open(&file, &said)?;
        Some((file, index))
    }

    fn making(traces: u32) -> Making {
        let mut making = Making::default();
        for number in 0..traces {
            let all = [
                token("id", &number.to_string()),
                token("tenth", &(number / 10).to_string()),
                token("all", "yes"),
            ];
            making.add(&all);
        }
        making
    }

    #[test]
    fn every_token_is_where_it_was_put() {
        for traces in [1, 2, 70, 300, 70_000] {
            let (file, index) = file(&making(traces).end()).unwrap();
            let find =
                |key: &str, value: u32| index.find(&file, token(key, &value.to_string())).unwrap();
            for number in (0..traces).step_by(1 + traces as usize / 500) {
                let holders = find("id", number);
                assert!(
                    matches!(&holders, Holders::These(all) if all.contains(&number)),
                    "{number} of {traces}: {holders:?}"
                );
                match find("tenth", number / 10) {
                    Holders::These(all) => assert!(all.contains(&number)),
                    other => assert_eq!((other, traces < 100), (Holders::Any, true)),
                }
            }
            let all = index.find(&file, token("all", "yes")).unwrap();
            assert_eq!(all == Holders::Any, traces > 16, "{traces}");
            let strangers = (0..2_000).filter(|number| find("none", *number) != Holders::None);
            assert!(strangers.count() < 20);
        }
    }

    #[test]
    fn of_no_traces_nothing_is_found() {
        let (file, index) = file(&Making::default().end()).unwrap();
        assert_eq!(index.find(&file, token("a", "b")).unwrap(), Holders::None);
    }

    #[test]
    fn damage_hides_nothing() {
        let whole = making(300).end();
        let wanted = token("id", "17");
        for at in MAGIC.len()..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x41;
            let Some((file, index)) = file(&damaged) else {
                continue;
            };
            let found = match index.find(&file, wanted) {
                Ok(Holders::These(all)) => all.contains(&17),
                Ok(Holders::Any) | Err(_) => true,
                Ok(Holders::None) => false,
            };
            assert!(found, "byte {at}");
        }
    }
}
