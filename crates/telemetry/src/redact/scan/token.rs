//! The known forms of API keys: a fixed beginning and what may follow.
//!
//! The forms are those that the services document, or that their keys show.

use super::super::rule::Rule;

/// Which bytes follow the fixed beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Alnum,
    /// Letters, digits, `-` and `_`.
    Word,
    /// The same and `.`.
    Dotted,
    /// The same and `/`, `+`, `=`, `.` and `:`.
    Base64,
    Hex,
}

impl Charset {
    pub(super) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Self::Base64 => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'+' | b'=' | b':')
            }
        }
    }
}

/// One form of key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) prefix: &'static str,
    pub(super) rule: Rule,
    pub(super) charset: Charset,
    /// How many bytes follow at least; what follows beyond belongs to it, too.
    pub(super) least: usize,
    /// How many follow at most, where the length is all that tells the key from a word.
    pub(super) most: usize,
    /// Whether a letter or digit may not stand right before it.
    pub(super) apart: bool,
}

const fn form(prefix: &'static str, rule: Rule, charset: Charset, least: usize) -> Form {
    Form {
        prefix,
        rule,
        charset,
        least,
        most: usize::MAX,
        apart: false,
    }
}

const fn apart(prefix: &'static str, rule: Rule, charset: Charset, least: usize) -> Form {
    Form {
        apart: true,
        ..form(prefix, rule, charset, least)
    }
}

const fn exact(prefix: &'static str, rule: Rule, charset: Charset, length: usize) -> Form {
    Form {
        most: length,
        ..apart(prefix, rule, charset, length)
    }
}

use Charset::{Alnum, Base64, Dotted, Hex, Word};
use Rule::{
    AiKey, ApiKey, AwsKey, GcpKey, GithubToken, GitlabToken, NpmToken, PypiToken, SendgridKey,
    SlackToken, StripeKey, TwilioKey,
};

/// Every form.
pub(super) const FORMS: &[Form] = &[
    exact("AKIA", AwsKey, Alnum, 16),
    exact("ASIA", AwsKey, Alnum, 16),
    exact("ABIA", AwsKey, Alnum, 16),
    exact("ACCA", AwsKey, Alnum, 16),
    exact("AROA", AwsKey, Alnum, 17),
    exact("AIDA", AwsKey, Alnum, 17),
    form("ABSK", AwsKey, Base64, 100),
    form("AIza", GcpKey, Word, 30),
    form("ya29.", GcpKey, Dotted, 20),
    form("GOCSPX-", GcpKey, Word, 20),
    form("ghp_", GithubToken, Alnum, 30),
    form("gho_", GithubToken, Alnum, 30),
    form("ghu_", GithubToken, Alnum, 30),
    form("ghs_", GithubToken, Alnum, 30),
    form("ghr_", GithubToken, Alnum, 30),
    form("github_pat_", GithubToken, Word, 22),
    form("glpat-", GitlabToken, Dotted, 20),
    form("gldt-", GitlabToken, Dotted, 20),
    form("glrt-", GitlabToken, Dotted, 20),
    form("glrtr-", GitlabToken, Dotted, 20),
    form("glcbt-", GitlabToken, Dotted, 20),
    form("glptt-", GitlabToken, Dotted, 20),
    form("glft-", GitlabToken, Dotted, 20),
    form("glsoat-", GitlabToken, Dotted, 20),
    form("glimt-", GitlabToken, Dotted, 20),
    form("glagent-", GitlabToken, Dotted, 20),
    form("gloas-", GitlabToken, Dotted, 20),
    form("glffct-", GitlabToken, Dotted, 20),
    form("GR1348941", GitlabToken, Word, 20),
    form("xoxa-", SlackToken, Word, 10),
    form("xoxb-", SlackToken, Word, 10),
    form("xoxc-", SlackToken, Word, 10),
    form("xoxd-", SlackToken, Base64, 10),
    form("xoxe-", SlackToken, Word, 10),
    form("xoxe.xoxb-", SlackToken, Word, 10),
    form("xoxe.xoxp-", SlackToken, Word, 10),
    form("xoxo-", SlackToken, Word, 10),
    form("xoxp-", SlackToken, Word, 10),
    form("xoxr-", SlackToken, Word, 10),
    form("xoxs-", SlackToken, Word, 10),
    form("xapp-", SlackToken, Word, 10),
    form("hooks.slack.com/services/", SlackToken, Base64, 20),
    form("hooks.slack.com/workflows/", SlackToken, Base64, 20),
    form("hooks.slack.com/triggers/", SlackToken, Base64, 20),
    form("sk_live_", StripeKey, Alnum, 10),
    form("sk_test_", StripeKey, Alnum, 10),
    form("rk_live_", StripeKey, Alnum, 10),
    form("rk_test_", StripeKey, Alnum, 10),
    form("whsec_", StripeKey, Base64, 20),
    form("sk-ant-", AiKey, Word, 16),
    form("sk-proj-", AiKey, Word, 16),
    form("sk-svcacct-", AiKey, Word, 16),
    form("sk-admin-", AiKey, Word, 16),
    form("sk-or-", AiKey, Word, 16),
    apart("sk-", AiKey, Alnum, 20),
    form("hf_", AiKey, Alnum, 30),
    form("gsk_", AiKey, Alnum, 30),
    form("pplx-", AiKey, Alnum, 30),
    form("r8_", AiKey, Alnum, 30),
    form("xai-", AiKey, Alnum, 40),
    form("npm_", NpmToken, Alnum, 30),
    form("pypi-", PypiToken, Word, 50),
    form("SG.", SendgridKey, Dotted, 40),
    exact("SK", TwilioKey, Hex, 32),
    exact("AC", TwilioKey, Hex, 32),
    form("shpat_", ApiKey, Hex, 32),
    form("shpca_", ApiKey, Hex, 32),
    form("shppa_", ApiKey, Hex, 32),
    form("shpss_", ApiKey, Hex, 32),
    form("dop_v1_", ApiKey, Hex, 32),
    form("doo_v1_", ApiKey, Hex, 32),
    form("dor_v1_", ApiKey, Hex, 32),
    exact("key-", ApiKey, Hex, 32),
    exact("dapi", ApiKey, Hex, 32),
    form("HRKU-", ApiKey, Word, 30),
    form("lin_api_", ApiKey, Alnum, 30),
    form("ntn_", ApiKey, Alnum, 40),
    form("secret_", ApiKey, Alnum, 40),
    form("PMAK-", ApiKey, Word, 40),
    form("glc_", ApiKey, Base64, 30),
    form("glsa_", ApiKey, Word, 30),
    form("NRAK-", ApiKey, Alnum, 20),
    form("NRII-", ApiKey, Word, 20),
    form("sq0atp-", ApiKey, Word, 20),
    form("sq0csp-", ApiKey, Word, 20),
    form("EAAA", ApiKey, Word, 58),
    form("dp.pt.", ApiKey, Alnum, 30),
    form("dp.st.", ApiKey, Dotted, 30),
    form("hvs.", ApiKey, Word, 20),
    form("hvb.", ApiKey, Word, 20),
    form("hvr.", ApiKey, Word, 20),
    form("pul-", ApiKey, Hex, 32),
    form("pscale_tkn_", ApiKey, Dotted, 30),
    form("pscale_pw_", ApiKey, Dotted, 30),
    form("pscale_oauth_", ApiKey, Dotted, 30),
    form("sbp_", ApiKey, Hex, 32),
    form("dckr_pat_", ApiKey, Word, 20),
    form("AGE-SECRET-KEY-1", ApiKey, Alnum, 50),
    form("rubygems_", ApiKey, Hex, 40),
    form("sntrys_", ApiKey, Base64, 40),
    form("sntryu_", ApiKey, Hex, 40),
    form("figd_", ApiKey, Word, 30),
    form("ATATT3", ApiKey, Base64, 60),
    form("LTAI", ApiKey, Alnum, 17),
    form("tskey-", ApiKey, Word, 20),
    form("CFPAT-", ApiKey, Word, 40),
    form("dt0c01.", ApiKey, Dotted, 60),
    form("AKCp", ApiKey, Alnum, 60),
    form("FlyV1 fm2_", ApiKey, Base64, 40),
    form("EZAK", ApiKey, Alnum, 50),
];
