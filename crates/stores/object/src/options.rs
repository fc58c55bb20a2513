//! Which bucket, and how it is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use longshore_bucket::{BucketError, BucketUrl, Provider};
use longshore_core::{Clock, ErrorKind, Random, StoreError, SystemClock, SystemRandom};

use crate::tuning::Tuning;

/// How to reach a store on object storage.
#[derive(Clone)]
pub struct ObjectOptions {
    pub(crate) url: BucketUrl,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) patience: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) tuning: Tuning,
}

impl fmt::Debug for ObjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL's parameters and the variables are secrets.
        f.debug_struct("ObjectOptions")
            .field("url", &self.url.to_string())
            .finish_non_exhaustive()
    }
}

impl ObjectOptions {
    /// With what the URL of such a store begins, for the providers that this build can ask.
    #[must_use]
    pub fn schemes() -> Vec<&'static str> {
        let all = Provider::ALL.into_iter();
        all.filter(|provider| provider.is_on())
            .map(Provider::scheme)
            .collect()
    }

    /// Most bytes of a prefix: with it every key fits into the 1,024 that providers allow.
    pub const MAX_PREFIX: usize = 300;

    /// The parameter of a URL that says how many shards a queue has at least.
    const SHARDS: &str = "shards";

    /// Reads a URL: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, then
    /// perhaps `?region=eu-west-1&endpoint=https://s3.example.org` and other parameters, among
    /// them `shards`, see [`Tuning::shards`].
    ///
    /// # Errors
    /// `Invalid` if it is no such URL, its prefix is too long, or a parameter is not known.
    ///
    /// ```
    /// use longshore_object::ObjectOptions;
    /// assert!(ObjectOptions::from_url("s3://jobs/shop?region=eu-west-1").is_ok());
    /// let error = ObjectOptions::from_url("s3://jobs?zone=eu").unwrap_err();
    /// assert!(error.to_string().contains("region"));
    /// ```
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let (url, own) = BucketUrl::parse_with(url, &[Self::SHARDS]).map_err(refused)?;
        let has = url.prefix().as_ref().len();
        if has > Self::MAX_PREFIX {
            return Err(refused(BucketError {
                url: url.to_string(),
                what: format!(
                    "its prefix has {has} bytes; write one of at most {}",
                    Self::MAX_PREFIX
                ),
            }));
        }
        let mut tuning = Tuning::default();
        if url.provider() == Provider::Gcs {
            tuning.gather = Tuning::A_WRITE_A_SECOND;
        }
        for (_, value) in own {
            let shards = value.parse::<u16>().ok();
            let shards = shards.filter(|shards| (1..=Tuning::MAX_SHARDS).contains(shards));
            tuning.shards = shards.ok_or_else(|| {
                refused(BucketError {
                    url: url.to_string(),
                    what: format!(
                        "`shards={value}` is no number from 1 to {}",
                        Tuning::MAX_SHARDS
                    ),
                })
            })?;
        }
        Ok(Self {
            url,
            tuning,
            variables: Vec::new(),
            patience: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        })
    }

    /// These options with variables of the environment, of which the usual ones of the provider are
    /// heeded: `AWS_ACCESS_KEY_ID` and so on. What the URL says wins.
    #[must_use]
    pub fn with_variables<N: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let heeded = self.url.provider().variables();
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.variables = variables
            .filter(|(name, _): &(String, String)| name.starts_with(heeded))
            .collect();
        self
    }

    /// These options with the variables of this process's environment.
    #[must_use]
    pub fn with_environment(self) -> Self {
        // One that is no text is none of a provider.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        self.with_variables(std::env::vars_os().filter_map(text))
    }

    /// These options with another time to wait for an answer before a request counts as lost; 10
    /// seconds by default.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// These options with other times and sizes than the usual ones; what the URL says of them too is
    /// replaced.
    #[must_use]
    pub const fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// These options with other randomness, for job ids and lease tokens.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }
}

pub(crate) fn refused(error: BucketError) -> StoreError {
    StoreError::new(ErrorKind::Invalid, error.to_string()).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let url = "s3://jobs/p?secret_access_key=hush";
        let options = ObjectOptions::from_url(url).unwrap();
        let options = options.with_variables([("AWS_SECRET_ACCESS_KEY", "hush")]);
        let shown = format!("{options:?}");
        assert!(
            shown.contains("s3://jobs/p") && !shown.contains("hush"),
            "{shown}"
        );
    }

    #[test]
    fn a_url_says_how_many_shards_there_are() {
        let tuning = |url: &str| ObjectOptions::from_url(url).map(|options| options.tuning);
        assert_eq!(tuning("s3://jobs").unwrap(), Tuning::default());
        let eight = tuning("s3://jobs?region=eu-west-1&shards=8").unwrap();
        assert_eq!(eight.shards, 8);
        for wrong in ["0", "257", "many", ""] {
            let error = tuning(&format!("s3://jobs?shards={wrong}")).unwrap_err();
            assert!(error.to_string().contains("from 1 to 256"), "{error}");
        }
        let error = tuning("s3://jobs?shard=8").unwrap_err();
        assert!(error.to_string().contains("shards"), "{error}");
    }

    #[test]
    fn where_an_object_is_written_once_a_second_writes_are_gathered_for_one() {
        let tuning = |url: &str| ObjectOptions::from_url(url).unwrap().tuning;
        assert_eq!(tuning("gs://jobs").gather, Duration::from_secs(1));
        assert_eq!(tuning("az://jobs").gather, Tuning::default().gather);
    }

    #[test]
    fn a_prefix_is_bounded() {
        let long = "p".repeat(ObjectOptions::MAX_PREFIX);
        assert!(ObjectOptions::from_url(&format!("s3://jobs/{long}")).is_ok());
        let error = ObjectOptions::from_url(&format!("s3://jobs/{long}p")).unwrap_err();
        assert!(error.to_string().contains("301 bytes"), "{error}");
    }
}
