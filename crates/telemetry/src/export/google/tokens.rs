//! Tokens, renewed before they expire.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use longshore_core::Clock;

use super::account::Account;
use super::ask::Asker;
use crate::config::{GoogleSettings, TelemetrySettings};
use crate::minutely::Minutely;

/// How long before its end a token is renewed, beside the exports that still carry it.
const EARLY: Duration = Duration::from_secs(300);
/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);

/// The tokens of the account that the settings lead to.
#[derive(Clone)]
pub(in super::super) struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    settings: GoogleSettings,
    asker: Asker,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Read from its file when it is needed, and again after a failure.
    account: Option<Arc<Account>>,
    token: Option<Token>,
    is_being_renewed: bool,
    warning: Minutely,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    /// On the clock's monotonic time.
    expires: Duration,
}

impl Tokens {
    pub(in super::super) fn new(settings: &TelemetrySettings, clock: Arc<dyn Clock>) -> Self {
        let proxy = settings.proxy.clone();
        Self {
            shared: Arc::new(Shared {
                settings: settings.google.clone(),
                asker: Asker { proxy },
                clock,
                state: Mutex::default(),
            }),
        }
    }

    /// What is wrong with the credentials, as far as their file tells.
    pub(in super::super) fn check(&self) -> Result<(), String> {
        self.shared.account().map(|_account| ())
    }

    /// Adds to `headers` what lets an export in. Waits for a token only if there is none.
    pub(in super::super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let now = self.shared.clock.monotonic();
        let token = self.shared.state().token.clone();
        let token = match token {
            Some(token) if now + MARGIN < token.expires => {
                if now + EARLY >= token.expires {
                    self.renew_beside();
                }
                token
            }
            _ => self.shared.renew().await?,
        };
        headers.insert(AUTHORIZATION, token.header);
        let account = self.shared.account()?;
        if account.is_user() {
            let settings = &self.shared.settings;
            let project = settings.project.as_deref().or(account.project());
            if let Some(project) = project.and_then(|name| HeaderValue::from_str(name).ok()) {
                headers.insert(HeaderName::from_static("x-goog-user-project"), project);
            }
        }
        Ok(())
    }

    /// Forgets the token, which was not taken.
    pub(in super::super) fn forget(&self) {
        self.shared.state().token = None;
    }

    /// What mends a refusal.
    pub(in super::super) fn explain(&self, what: &str) -> String {
        let account = self.shared.account().map(|account| account.name());
        let account = account.unwrap_or_else(|_problem| "the account".to_owned());
        format!(
            "{what} to {account}; give it the role roles/cloudtrace.agent (for log records roles/telemetry.logsWriter) and enable the Telemetry API in the project, or set telemetry.google_credentials (GOOGLE_APPLICATION_CREDENTIALS) to another account"
        )
    }

    fn renew_beside(&self) {
        if std::mem::replace(&mut self.shared.state().is_being_renewed, true) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let renewed = shared.renew().await;
            let now = shared.clock.monotonic();
            let mut state = shared.state();
            state.is_being_renewed = false;
            if let Err(what) = renewed
                && state.warning.is_due(now)
            {
                tracing::warn!(
                    target: "longshore",
                    "{what}; the token of before is used while it lasts. This is said once a minute at most"
                );
            }
        });
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> Result<Arc<Account>, String> {
        let mut state = self.state();
        if let Some(account) = &state.account {
            return Ok(Arc::clone(account));
        }
        let account = Arc::new(Account::find(&self.settings)?);
        state.account = Some(Arc::clone(&account));
        Ok(account)
    }

    async fn renew(&self) -> Result<Token, String> {
        let account = self.account()?;
        let asked_at = self.clock.monotonic();
        let granted = match account.token(&self.asker, self.clock.now()).await {
            Ok(granted) => granted,
            Err(what) => {
                // Perhaps another key has been put there.
                self.state().account = None;
                return Err(what);
            }
        };
        let mut header = HeaderValue::from_str(&format!("Bearer {}", granted.token))
            .map_err(|_error| "the token server gave a token that is none".to_owned())?;
        header.set_sensitive(true);
        let token = Token {
            header,
            expires: asked_at.saturating_add(Duration::from_secs(granted.seconds)),
        };
        self.state().token = Some(token.clone());
        Ok(token)
    }
}
