//! How an answer is packed.

use std::io::{self, BufWriter, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder;

/// How hard is tried: what is shown leaves soon, and is far smaller in any case.
const LEVEL: i32 = 1;

/// How much is gathered for a packer, which costs the more the smaller the pieces are.
const GATHERED: usize = 16 << 10;

/// How an answer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// What the other end takes: the best of it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let mut best = Self::None;
        for named in values.flat_map(|value| value.split(',')) {
            let mut parts = named.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            if weight.is_some_and(|weight| weight.parse() == Ok(0.0)) {
                continue;
            }
            best = match (name.as_str(), best) {
                ("zstd", _) => Self::Zstd,
                ("gzip" | "x-gzip", Self::None) => Self::Gzip,
                _ => best,
            };
        }
        best
    }

    /// Its name in a header.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Packs what is written.
pub(super) enum Packed<W: Write> {
    None(W),
    Gzip(BufWriter<GzEncoder<W>>),
    Zstd(BufWriter<Encoder<'static, W>>),
}

impl<W: Write> Packed<W> {
    pub(super) fn new(packing: Packing, into: W) -> io::Result<Self> {
        Ok(match packing {
            Packing::None => Self::None(into),
            Packing::Gzip => {
                let packer = GzEncoder::new(into, Compression::fast());
                Self::Gzip(BufWriter::with_capacity(GATHERED, packer))
            }
            Packing::Zstd => {
                let packer = Encoder::new(into, LEVEL)?;
                Self::Zstd(BufWriter::with_capacity(GATHERED, packer))
            }
        })
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::None(_) => Ok(()),
            Self::Gzip(packer) => {
                let packer = packer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)?;
                packer.finish().map(|_into| ())
            }
            Self::Zstd(packer) => {
                let packer = packer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)?;
                packer.finish().map(|_into| ())
            }
        }
    }
}

impl<W: Write> Write for Packed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(into) => into.write(bytes),
            Self::Gzip(packer) => packer.write(bytes),
            Self::Zstd(packer) => packer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(into) => into.flush(),
            Self::Gzip(packer) => packer.flush(),
            Self::Zstd(packer) => packer.flush(),
        }
    }
}
