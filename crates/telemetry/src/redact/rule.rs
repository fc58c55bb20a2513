//! The rules: their names, what is done where one applies, and how often one did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! rules {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// Why a piece of text may not leave. The name stands in the mark that is left in its place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $doc] $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name of the rule, as it stands in marks and metric labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What the rule finds.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self {
                    $(Self::$name => $doc,)*
                }
            }
        }
    };
}

rules! {
    Custom = "custom", "A redactor of the application hid the value, or panicked.";
    Blocked = "blocked", "The key is on the block list.";
    NotAllowed = "not_allowed", "There is an allow list and the key is not on it.";
    Payload = "payload", "The key says that the value is the args, body or result of something.";
    SecretKey = "secret_key", "The key says that the value is secret.";
    Sql = "sql", "A statement that cannot be read wholly, or a parameter of one.";
    Url = "url", "The value of a parameter, or the fragment, of a URL.";
    Secret = "secret", "A value in a text that the word before it calls secret, as in `password=…`.";
    UserInfo = "userinfo", "User name and password in a URL or connection string.";
    Bearer = "bearer", "A bearer token in a text.";
    Basic = "basic", "User name and password in base64 after the word Basic.";
    Jwt = "jwt", "A JSON web token.";
    PrivateKey = "private_key", "A private key in PEM or PGP armour.";
    Email = "email", "An e-mail address.";
    Card = "card", "The number of a payment card: known prefix, right length, right check digit.";
    Iban = "iban", "An IBAN: known country, right length, right check digits.";
    AwsKey = "aws_key", "An access key of AWS.";
    GcpKey = "gcp_key", "An API key, OAuth token or client secret of Google.";
    AzureKey = "azure_key", "A client secret of Azure.";
    GithubToken = "github_token", "A token of GitHub.";
    GitlabToken = "gitlab_token", "A token of GitLab.";
    SlackToken = "slack_token", "A token or webhook of Slack.";
    StripeKey = "stripe_key", "A secret key of Stripe.";
    AiKey = "ai_key", "An API key of OpenAI, Anthropic or another host of language models.";
    NpmToken = "npm_token", "A token of npm.";
    PypiToken = "pypi_token", "A token of PyPI.";
    SendgridKey = "sendgrid_key", "An API key of SendGrid.";
    TwilioKey = "twilio_key", "An account or API key identifier of Twilio.";
    ApiKey = "api_key", "A key in the known form of some other service.";
    Pattern = "pattern", "A pattern of `telemetry.redact_patterns`.";
    Bound = "bound", "Text that does not settle: redacting it made new secrets again and again.";
}

impl Rule {
    pub(super) const COUNT: usize = Self::ALL.len();

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.as_str() == name)
    }
}

/// What happens to a piece of text that a rule found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// `[REDACTED:rule]` stands in its place.
    #[default]
    Mask,
    /// `[HASHED:rule:…]` stands in its place, with 64 bits of a keyed hash, so that equal secrets
    /// can be told from different ones. Without a key it is masked.
    Hash,
    /// It is removed; where a key was the reason, the whole attribute is.
    Drop,
    /// `[REDACTED:rule:…]` with its last four characters. Less than 12 characters are masked.
    KeepLast,
}

/// How often each rule applied.
#[derive(Debug)]
pub(super) struct Tally([AtomicU64; Rule::COUNT]);

impl Default for Tally {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Rule::COUNT])
    }
}

impl Tally {
    pub(super) fn add(&self, rule: Rule) {
        if let Some(count) = self.0.get(rule.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> BTreeMap<Rule, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let all = Rule::ALL.iter().copied().zip(counts);
        all.filter(|(_, count)| *count > 0).collect()
    }
}
