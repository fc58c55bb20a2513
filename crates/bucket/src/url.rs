//! What a URL says, and the client that follows from it.

use std::fmt;
use std::sync::Arc;

use object_store::client::HttpConnector;
use object_store::list::PaginatedListStore;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use crate::error::BucketError;

/// Whose object storage it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// S3, or a server that speaks as it does: `s3://`.
    S3,
    /// Google Cloud Storage: `gs://`.
    Gcs,
    /// Azure Blob Storage: `az://`.
    Azure,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    /// With what its URLs begin.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    /// With what the variables of the environment begin that it heeds.
    #[must_use]
    pub const fn variables(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Gcs => "GOOGLE_",
            Self::Azure => "AZURE_",
        }
    }

    /// The feature of this crate with which it can be used.
    #[must_use]
    pub const fn feature(self) -> &'static str {
        match self {
            Self::S3 => "aws",
            Self::Gcs => "gcp",
            Self::Azure => "azure",
        }
    }

    /// Whether this build has it.
    #[must_use]
    pub const fn is_on(self) -> bool {
        match self {
            Self::S3 => cfg!(feature = "aws"),
            Self::Gcs => cfg!(feature = "gcp"),
            Self::Azure => cfg!(feature = "azure"),
        }
    }

    /// The parameters that a URL may have. Each can be a variable instead, such as `AWS_REGION`.
    #[must_use]
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::S3 => &[
                "access_key_id",
                "endpoint",
                "region",
                "request_payer",
                "secret_access_key",
                "server_side_encryption",
                "session_token",
                "skip_signature",
                "sse_kms_key_id",
                "virtual_hosted_style_request",
            ],
            Self::Gcs => &[
                "base_url",
                "bearer_token",
                "service_account",
                "service_account_key",
                "skip_signature",
            ],
            Self::Azure => &[
                "access_key",
                "account_name",
                "client_id",
                "client_secret",
                "endpoint",
                "sas_token",
                "skip_signature",
                "tenant_id",
                "use_emulator",
            ],
        }
    }
}

/// A bucket (a container, on Azure), and a prefix of all keys in it.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketUrl {
    provider: Provider,
    bucket: String,
    prefix: Path,
    parameters: Vec<(String, String)>,
}

impl fmt::Debug for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketUrl").field(&self.to_string()).finish()
    }
}

impl fmt::Display for BucketUrl {
    /// Without parameters, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.provider.scheme(), self.bucket)?;
        match self.prefix.as_ref() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

/// A bucket that can be asked.
#[derive(Clone)]
pub struct Bucket {
    /// Its objects.
    pub objects: Arc<dyn ObjectStore>,
    /// Its listings, page by page.
    pub pages: Arc<dyn PaginatedListStore>,
    /// The server, if the URL or a variable names one.
    pub endpoint: Option<String>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl BucketUrl {
    /// Reads `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`, then perhaps
    /// `?region=eu-west-1&endpoint=https://s3.example.org` and others of
    /// [`Provider::parameters`]. Values may have `%` and two hex digits for any byte.
    ///
    /// # Errors
    /// It is no such URL, names no bucket, or has a parameter that is not known.
    pub fn parse(url: &str) -> Result<Self, BucketError> {
        Self::parse_with(url, &[]).map(|(url, _)| url)
    }

    /// The same of a URL that may have parameters for whoever uses the bucket too, named `own`; those
    /// are given back, and no part of the URL.
    ///
    /// # Errors
    /// As [`BucketUrl::parse`].
    pub fn parse_with(
        url: &str,
        own: &[&str],
    ) -> Result<(Self, Vec<(String, String)>), BucketError> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let wrong = |what: String| BucketError {
            url: address.to_owned(),
            what,
        };
        let (scheme, place) = address.split_once("://").unwrap_or_default();
        let mut all = Provider::ALL.into_iter();
        let provider = all
            .find(|provider| provider.scheme() == scheme)
            .ok_or_else(|| {
                wrong(
                    "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX".into(),
                )
            })?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(wrong(format!(
                "it names no bucket: write {scheme}://BUCKET/PREFIX"
            )));
        }
        let prefix = Path::parse(prefix.trim_end_matches('/'));
        let prefix = prefix.map_err(|error| wrong(error.to_string()))?;
        // A plus sign in a key is one, not a space.
        let query = query.replace('+', "%2B");
        let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let is_own = |(name, _): &(String, String)| own.contains(&name.as_str());
        let (own_parameters, parameters): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(is_own);
        let known = provider.parameters();
        if let Some((name, _)) = parameters
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            let mut all = [known, own].concat();
            all.sort_unstable();
            return Err(wrong(format!(
                "`{name}` is not a parameter of {scheme}:// URLs; there are {}",
                all.join(", ")
            )));
        }
        let url = Self {
            provider,
            bucket: bucket.to_owned(),
            prefix,
            parameters,
        };
        Ok((url, own_parameters))
    }

    /// Whose it is.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// The name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The prefix of all keys, without a slash at its end; perhaps empty.
    #[must_use]
    pub const fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// A client, without a request. Of `variables`, which are those of the environment, it heeds the
    /// usual ones of the provider, such as `AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
    /// and those by which a machine has a role. What the URL says wins.
    ///
    /// # Errors
    /// This build cannot ask that provider, or what is said does not fit together.
    pub fn open<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        http: impl HttpConnector,
        retry: RetryConfig,
    ) -> Result<Bucket, BucketError> {
        let heeded = self.provider.variables();
        let variables = variables
            .into_iter()
            .filter(|(name, value)| name.starts_with(heeded) && !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let settings = variables.chain(self.parameters.iter().cloned());
        let settings: Vec<(String, String)> = settings.collect();
        match self.provider {
            #[cfg(feature = "aws")]
            Provider::S3 => self.open_s3(settings, http, retry),
            #[cfg(feature = "gcp")]
            Provider::Gcs => self.open_gcs(settings, http, retry),
            #[cfg(feature = "azure")]
            Provider::Azure => self.open_azure(settings, http, retry),
            #[cfg(not(all(feature = "aws", feature = "gcp", feature = "azure")))]
            provider => {
                let _unused = (settings, http, retry);
                Err(self.wrong(format!(
                    "this build lacks the feature `{}`",
                    provider.feature()
                )))
            }
        }
    }

    #[cfg(feature = "aws")]
    fn open_s3(
        &self,
        settings: Vec<(String, String)>,
        http: impl HttpConnector,
        retry: RetryConfig,
    ) -> Result<Bucket, BucketError> {
        use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
        let mut builder = AmazonS3Builder::new();
        for (name, value) in settings {
            // Others have variables of that beginning too.
            if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
        let endpoint = endpoint
            .iter()
            .find_map(|key| builder.get_config_value(key));
        let store = builder
            .with_http_connector(http)
            .with_retry(retry)
            .with_bucket_name(&self.bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            // One by one, which every server can, and which says which of them failed.
            .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
            .build();
        self.opened(store, endpoint.as_deref())
    }

    #[cfg(feature = "gcp")]
    fn open_gcs(
        &self,
        settings: Vec<(String, String)>,
        http: impl HttpConnector,
        retry: RetryConfig,
    ) -> Result<Bucket, BucketError> {
        use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
        let mut builder = GoogleCloudStorageBuilder::new();
        for (name, value) in settings {
            if let Ok(key) = name.parse::<GoogleConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
        let store = builder
            .with_http_connector(http)
            .with_retry(retry)
            .with_bucket_name(&self.bucket)
            .build();
        self.opened(store, endpoint.as_deref())
    }

    #[cfg(feature = "azure")]
    fn open_azure(
        &self,
        settings: Vec<(String, String)>,
        http: impl HttpConnector,
        retry: RetryConfig,
    ) -> Result<Bucket, BucketError> {
        use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
        let mut builder = MicrosoftAzureBuilder::new();
        for (name, value) in settings {
            if let Ok(key) = name.parse::<AzureConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
        let store = builder
            .with_http_connector(http)
            .with_retry(retry)
            .with_container_name(&self.bucket)
            .build();
        self.opened(store, endpoint.as_deref())
    }

    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    fn opened<S: ObjectStore + PaginatedListStore>(
        &self,
        store: object_store::Result<S>,
        endpoint: Option<&str>,
    ) -> Result<Bucket, BucketError> {
        let endpoint = endpoint.map(without_secrets);
        if let Some(endpoint) = endpoint.as_deref().filter(|endpoint| !is_server(endpoint)) {
            return Err(self.wrong(format!(
                "`{endpoint}` is no endpoint: write https://HOST:PORT, or http:// for one without TLS"
            )));
        }
        let store = store.map_err(|error| self.wrong(error.to_string()))?;
        let store = Arc::new(store);
        Ok(Bucket {
            objects: Arc::<S>::clone(&store),
            pages: store,
            endpoint,
        })
    }

    fn wrong(&self, what: String) -> BucketError {
        BucketError {
            url: self.to_string(),
            what,
        }
    }
}

/// Whether this can be asked. The client would panic at the first request.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn is_server(endpoint: &str) -> bool {
    let uri = endpoint.parse::<hyper::Uri>().ok();
    let has_host = |uri: &hyper::Uri| uri.host().is_some_and(|host| !host.is_empty());
    uri.filter(has_host)
        .and_then(|uri| uri.scheme_str().map(str::to_ascii_lowercase))
        .is_some_and(|scheme| scheme == "http" || scheme == "https")
}

/// A server's URL without what names a user before the host, or follows the path.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn without_secrets(endpoint: &str) -> String {
    let plain = endpoint.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match plain.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), plain),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let path = path.trim_end_matches('/');
    match path {
        "" => format!("{scheme}{host}"),
        path => format!("{scheme}{host}/{path}"),
    }
}

#[cfg(test)]
mod tests;
