//! Addresses of object storage, read and refused.

use std::time::Duration;

use super::*;
use crate::http::Connector;

fn open(url: &str, variables: &[(&str, &str)]) -> Result<Bucket, BucketError> {
    let http = Connector::new(Duration::from_secs(1));
    BucketUrl::parse(url)?.open(variables.iter().copied(), http, RetryConfig::default())
}

#[test]
fn a_url_says_where() {
    let url = BucketUrl::parse("s3://jobs/our/shop/?region=eu-west-1").unwrap();
    assert_eq!(
        (url.provider(), url.bucket(), url.prefix().as_ref()),
        (Provider::S3, "jobs", "our/shop")
    );
    assert_eq!(url.to_string(), "s3://jobs/our/shop");
    let url = BucketUrl::parse("az://jobs").unwrap();
    assert_eq!(
        (url.prefix().as_ref(), url.to_string()),
        ("", "az://jobs".into())
    );
}

#[test]
fn what_is_no_bucket_is_said_so() {
    for (url, said) in [
        ("", "write s3://BUCKET/PREFIX"),
        ("jobs", "write s3://BUCKET/PREFIX"),
        ("s3://", "names no bucket"),
        ("gs:///x", "names no bucket"),
        ("s3://jobs/a//b", "a//b"),
        ("s3://jobs?bucket=x", "region"),
        ("az://jobs?region=x", "account_name"),
    ] {
        let error = BucketUrl::parse(url).unwrap_err().to_string();
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let url = "s3://jobs/p?secret_access_key=hush%2Fhush+1&access_key_id=key\
               &endpoint=http://user:hush@host:1/%3Fhush";
    let parsed = BucketUrl::parse(url).unwrap();
    let value = |name| {
        let found = parsed.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    assert_eq!(value("secret_access_key"), "hush/hush+1");
    let bucket = open(url, &[]).unwrap();
    assert_eq!(bucket.endpoint.as_deref(), Some("http://host:1"));
    let shown = format!("{parsed} {parsed:?} {bucket:?}");
    assert!(!shown.contains("hush"), "{shown}");
    let refused = open("s3://jobs?x=hush&secret_access_key=hush", &[]).unwrap_err();
    assert!(!refused.to_string().contains("hush"), "{refused}");
}

#[test]
fn an_endpoint_that_cannot_be_asked_is_refused() {
    let too_little = [
        "127.0.0.1:9000",
        "s3.example.org",
        "http://",
        "ftp://host",
        "http://a b",
    ];
    for endpoint in too_little {
        for url in ["s3://jobs", "az://jobs?account_name=me"] {
            let variables = [("AWS_ENDPOINT_URL", endpoint), ("AZURE_ENDPOINT", endpoint)];
            let error = open(url, &variables).unwrap_err().to_string();
            assert!(
                error.contains("write https://HOST:PORT"),
                "{endpoint}: {error}"
            );
            assert!(error.contains(endpoint.trim_end_matches('/')), "{error}");
        }
    }
    let secret = open("s3://jobs?endpoint=me:hush@host:1", &[]).unwrap_err();
    assert!(!secret.to_string().contains("hush"), "{secret}");
}

#[test]
fn the_url_wins_over_the_environment() {
    let variables = [("AWS_ENDPOINT_URL", "http://one:1"), ("AWS_PROFILE", "x")];
    let endpoint = |url| open(url, &variables).unwrap().endpoint.unwrap();
    assert_eq!(endpoint("s3://jobs"), "http://one:1");
    assert_eq!(endpoint("s3://jobs?endpoint=http://two:2"), "http://two:2");
}
