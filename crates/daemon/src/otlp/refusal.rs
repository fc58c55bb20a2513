//! Why a request is not taken, named by what the sender can do about it.

use std::time::Duration;

use super::screen::Malformed;
use crate::auth::No;

/// A request that is not taken, nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the message is no OTLP in JSON: {0}")]
    Json(String),
    #[error("the body cannot be unpacked")]
    Unpackable,
    #[error("the gRPC frame is not one message of the length it says")]
    Frame,
    #[error("the request is larger than the {0} bytes that are taken; send smaller batches")]
    TooLarge(usize),
    #[error("bodies may be packed by gzip or zstd or not at all")]
    Packing,
    #[error("bodies are application/x-protobuf or application/json")]
    MediaType,
    #[error("only POST is answered here")]
    Method,
    #[error("there is nothing here for {0}; traces and logs are taken, metrics are not")]
    Unknown(String),
    #[error("requests of web pages are not taken")]
    WebPage,
    #[error("{0}")]
    TooOften(&'static str),
    #[error("{0}")]
    NoToken(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("the request was not there in time, or broke off")]
    BrokenOff,
    #[error("more comes than can be written down; try again")]
    Busy,
    #[error("what comes cannot be written down: {0}")]
    Unwritable(String),
}

impl From<No> for Refusal {
    fn from(no: No) -> Self {
        let words = no.words();
        match no {
            No::TooOften => Self::TooOften(words),
            No::Token | No::WrongToken => Self::NoToken(words),
            No::Scope | No::Peer | No::Host | No::Origin => Self::Forbidden(words),
        }
    }
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same request will never be taken.
    Mend,
    /// The same request may be taken after a pause.
    Repeat(Duration),
}

impl Refusal {
    /// All of [`reason`](Self::reason).
    pub(super) const REASONS: [&str; 8] = [
        "malformed",
        "too_large",
        "unsupported",
        "forbidden",
        "too_often",
        "broken_off",
        "busy",
        "unwritable",
    ];

    pub(super) const fn remedy(&self) -> Remedy {
        match self {
            Self::Busy | Self::TooOften(_) => Remedy::Repeat(Duration::from_secs(1)),
            Self::Unwritable(_) => Remedy::Repeat(Duration::from_secs(10)),
            _ => Remedy::Mend,
        }
    }

    /// The status of HTTP.
    pub(super) const fn http(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Json(_) | Self::Unpackable | Self::Frame => 400,
            Self::NoToken(_) => 401,
            Self::WebPage | Self::Forbidden(_) => 403,
            Self::Unknown(_) => 404,
            Self::Method => 405,
            Self::BrokenOff => 408,
            Self::TooLarge(_) => 413,
            Self::Packing | Self::MediaType => 415,
            Self::Busy | Self::TooOften(_) => 429,
            Self::Unwritable(_) => 503,
        }
    }

    /// The status of gRPC, by its number.
    pub(super) const fn grpc(&self) -> u8 {
        match self {
            Self::Malformed(_) | Self::Json(_) | Self::Unpackable | Self::Frame => 3,
            Self::BrokenOff => 4,
            Self::WebPage | Self::Forbidden(_) => 7,
            Self::NoToken(_) => 16,
            // What is too large comes without advice on when to repeat it: it is for good.
            Self::TooLarge(_) | Self::TooOften(_) => 8,
            Self::Unknown(_) | Self::Method | Self::MediaType | Self::Packing => 12,
            Self::Busy | Self::Unwritable(_) => 14,
        }
    }

    /// A word for it, as a metric label.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Json(_) | Self::Unpackable | Self::Frame => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::Packing | Self::MediaType | Self::Method | Self::Unknown(_) => "unsupported",
            Self::WebPage | Self::NoToken(_) | Self::Forbidden(_) => "forbidden",
            Self::TooOften(_) => "too_often",
            Self::BrokenOff => "broken_off",
            Self::Busy => "busy",
            Self::Unwritable(_) => "unwritable",
        }
    }
}
