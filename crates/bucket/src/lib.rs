//! Clients of object storage: S3 and what speaks as it does, Google Cloud Storage, Azure Blob
//! Storage.
//!
//! [`BucketUrl`] reads `s3://BUCKET/PREFIX?region=eu-west-1` and opens a client of the crate
//! `object_store` with what the URL and the environment say. [`Connector`] is the HTTP of that
//! client: the one of the rest of Longshore, so that a program has one TLS, and trusts whom its
//! machine trusts.

mod error;
mod http;
mod url;

pub use error::BucketError;
pub use http::Connector;
pub use url::{Bucket, BucketUrl, Provider};
