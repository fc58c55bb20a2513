//! Who may ask what: tokens, and, where there are none, that nobody but this machine asks.
//!
//! Without a token a daemon answers this machine alone. A page in a browser there is on this
//! machine too, so a request must name the machine as its host, a page of another origin is
//! refused, and so is a body that is not JSON, which such a page could send unasked. A request of
//! which nobody knows where it comes from ([`Peer`]) comes from elsewhere.

mod rate;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use longshore_api::ApiError;
use longshore_core::Clock;
use subtle::ConstantTimeEq as _;

pub use self::rate::RateLimit;
use self::rate::Rates;
use crate::routes::Refusal;
use crate::serve::Peer;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Looking.
    Read,
    /// Looking, enqueueing and changing.
    Write,
}

/// A token that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token has {most} or more visible ASCII characters, so that nobody guesses it: make one with \
     `openssl rand -hex 32`",
    most = Access::SHORTEST
)]
pub struct InvalidToken;

/// Who may ask a daemon.
#[derive(Clone, Default)]
pub struct Access {
    read: Option<Arc<str>>,
    write: Option<Arc<str>>,
}

impl Access {
    /// Fewest characters of a token.
    pub const SHORTEST: usize = 16;

    /// This machine alone, without a token.
    #[must_use]
    pub fn this_machine() -> Self {
        Self::default()
    }

    /// Whoever has a token: one for everything, and perhaps another for looking alone.
    ///
    /// # Errors
    /// A token is too short, or no header can carry it.
    pub fn by_token(write: &str, read: Option<&str>) -> Result<Self, InvalidToken> {
        let usable = |token: &str| {
            let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
            match visible && token.len() >= Self::SHORTEST {
                true => Ok(Arc::from(token)),
                false => Err(InvalidToken),
            }
        };
        Ok(Self {
            write: Some(usable(write)?),
            read: read.map(usable).transpose()?,
        })
    }

    /// Whether a token is asked for.
    #[must_use]
    pub const fn asks_for_token(&self) -> bool {
        self.write.is_some()
    }

    /// What a request may do, if that is what is `wanted`.
    fn check(&self, wanted: Scope, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Scope, No> {
        if !self.asks_for_token() {
            return from_this_machine(headers, peer).map(|()| Scope::Write);
        }
        let given = headers.get(AUTHORIZATION).ok_or(No::Token)?;
        let given = given.to_str().ok().and_then(bearer).ok_or(No::Token)?;
        let is = |token: &Option<Arc<str>>| {
            token
                .as_deref()
                .is_some_and(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())))
        };
        // Both are compared in any case, so that time says nothing.
        match (is(&self.write), is(&self.read), wanted) {
            (true, _, _) => Ok(Scope::Write),
            (false, true, Scope::Read) => Ok(Scope::Read),
            (false, true, Scope::Write) => Err(No::Scope),
            (false, false, _) => Err(No::WrongToken),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("asks_for_token", &self.asks_for_token())
            .finish()
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum No {
    TooOften,
    Token,
    WrongToken,
    Scope,
    Peer,
    Host,
    Origin,
}

impl No {
    const fn status(self) -> StatusCode {
        match self {
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::Token | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Scope | Self::Peer | Self::Host | Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    /// What is wrong, and how to mend it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::TooOften => {
                "this address asks too often: wait a second, and send several in one request"
            }
            Self::Token => {
                "a token is needed: send `Authorization: Bearer TOKEN` with the one that \
                 `longshore serve` was started with"
            }
            Self::WrongToken => {
                "this token is not known here: send the one that `longshore serve` was started with"
            }
            Self::Scope => "this token is for reading alone: send the one for writing",
            Self::Peer => {
                "without a token this daemon answers its own machine alone: start `longshore \
                 serve` with one to ask it from elsewhere"
            }
            Self::Host => {
                "without a token this daemon answers to localhost, 127.0.0.1 and [::1] alone, and \
                 this request names another host: use one of them, or start `longshore serve` with \
                 a token"
            }
            Self::Origin => {
                "a page of another origin may not ask this daemon: start `longshore serve` with a \
                 token, and send that"
            }
        }
    }
}

/// The token of an `Authorization` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// Whether a request comes from this machine, and from no page that is not ours.
fn from_this_machine(headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), No> {
    if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return Err(No::Peer);
    }
    // HTTP/2 has the host in `:authority`, which hyper does not repeat as a header.
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or(""));
    if host.is_some_and(|host| !is_own(host)) {
        return Err(No::Host);
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("");
    let authority = origin.strip_prefix("http://");
    let authority = authority.or_else(|| origin.strip_prefix("https://"));
    match (authority, host) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(No::Origin),
    }
}

/// Whether a `HOST` or `HOST:PORT` is this machine.
fn is_own(authority: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|host| host.is_loopback())
        || bare.is_some_and(|host| {
            host.parse::<Ipv6Addr>()
                .is_ok_and(|host| host.is_loopback())
        })
}

/// The door of a daemon: who may ask, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    access: Access,
    rates: Arc<Rates>,
}

impl Door {
    pub(crate) fn new(access: Access, limit: RateLimit, clock: Arc<dyn Clock>) -> Self {
        Self {
            access,
            rates: Arc::new(Rates::new(limit, clock)),
        }
    }

    /// The same for whom `access` says.
    pub(crate) fn with_access(&self, access: Access) -> Self {
        Self {
            access,
            rates: Arc::clone(&self.rates),
        }
    }

    /// What a request may do that wants to do what is in `wanted`. One of whom nobody knows where it
    /// comes from shares how often it may ask with all others of that kind.
    pub(crate) fn admit(
        &self,
        wanted: Scope,
        headers: &HeaderMap,
        uri: &Uri,
        peer: Option<&Peer>,
    ) -> Result<Scope, No> {
        let peer = peer.map(|peer| peer.0.ip());
        let address = peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        if !self.rates.admit(address) {
            return Err(No::TooOften);
        }
        let authority = uri.authority().map(Authority::as_str);
        if !self.access.asks_for_token() && authority.is_some_and(|named| !is_own(named)) {
            return Err(No::Host);
        }
        let checked = self.access.check(wanted, headers, peer);
        if checked == Err(No::WrongToken) {
            self.rates.punish(address);
        }
        checked
    }

    async fn pass(&self, wanted: Scope, mut request: Request, next: Next) -> Response {
        let peer = request.extensions().get::<Peer>();
        match self.admit(wanted, request.headers(), request.uri(), peer) {
            Ok(granted) => {
                request.extensions_mut().insert(granted);
                next.run(request).await
            }
            Err(no) => refusal(no),
        }
    }
}

fn refusal(no: No) -> Response {
    let words = no.words().to_owned();
    let (error, header) = match no {
        No::TooOften => (ApiError::Limited(words), Some((RETRY_AFTER, "1"))),
        No::Token | No::WrongToken => (
            ApiError::Forbidden(words),
            Some((WWW_AUTHENTICATE, "Bearer")),
        ),
        No::Scope | No::Peer | No::Host | No::Origin => (ApiError::Forbidden(words), None),
    };
    let mut response = Refusal::new(no.status(), error).into_response();
    if let Some((name, value)) = header {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Lets a request through that may look.
pub(crate) async fn may_read(State(door): State<Door>, request: Request, next: Next) -> Response {
    door.pass(Scope::Read, request, next).await
}

/// Lets a request through that may change.
pub(crate) async fn may_write(State(door): State<Door>, request: Request, next: Next) -> Response {
    door.pass(Scope::Write, request, next).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(axum::http::HeaderName, &str)| (name.clone(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn asked(pairs: &[(axum::http::HeaderName, &str)]) -> Result<Scope, No> {
        let loopback = Some(IpAddr::from([127, 0, 0, 1]));
        Access::this_machine().check(Scope::Write, &headers(pairs), loopback)
    }

    #[test]
    fn without_a_token_this_machine_is_answered_alone() {
        for host in [
            "localhost:7350",
            "127.0.0.1",
            "[::1]:7350",
            "127.8.0.1:1",
            "LOCALHOST",
        ] {
            assert_eq!(asked(&[(HOST, host)]), Ok(Scope::Write), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:7350",
            "",
            "127.0.0.1.nip.io",
        ] {
            assert_eq!(asked(&[(HOST, host)]), Err(No::Host), "{host}");
        }
        for elsewhere in [Some(IpAddr::from([10, 0, 0, 1])), None] {
            let headers = headers(&[(HOST, "localhost")]);
            let from = Access::this_machine().check(Scope::Read, &headers, elsewhere);
            assert_eq!(from, Err(No::Peer), "{elsewhere:?}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let with = |origin: &str| asked(&[(HOST, "localhost:7350"), (ORIGIN, origin)]);
        assert_eq!(with("http://localhost:7350"), Ok(Scope::Write));
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost:8080",
            "http://localhost:7350.evil.example",
            "",
        ] {
            assert_eq!(with(origin), Err(No::Origin), "{origin}");
        }
    }

    #[test]
    fn a_token_opens_what_it_is_for() {
        let (write, read) = ("0123456789abcdef", "fedcba9876543210");
        let access = Access::by_token(write, Some(read)).unwrap();
        let asked =
            |scope, header: &str| access.check(scope, &headers(&[(AUTHORIZATION, header)]), None);
        let (all, looking) = (Ok(Scope::Write), Ok(Scope::Read));
        assert_eq!(asked(Scope::Write, &format!("Bearer {write}")), all);
        assert_eq!(asked(Scope::Read, &format!("bearer {write}")), all);
        assert_eq!(asked(Scope::Read, &format!("Bearer {read}")), looking);
        assert_eq!(
            asked(Scope::Write, &format!("Bearer {read}")),
            Err(No::Scope)
        );
        assert_eq!(
            asked(Scope::Read, "Bearer 0123456789abcdeF"),
            Err(No::WrongToken)
        );
        assert_eq!(asked(Scope::Read, "Bearer "), Err(No::WrongToken));
        assert_eq!(
            asked(Scope::Read, &format!("Basic {write}")),
            Err(No::Token)
        );
        assert_eq!(
            access.check(Scope::Read, &headers(&[(HOST, "localhost")]), None),
            Err(No::Token)
        );
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        assert!(Access::by_token("short", None).is_err());
        assert!(Access::by_token("0123456789abcdef", Some("")).is_err());
        assert!(Access::by_token("0123456789 abcdef", None).is_err());
        let shown = format!("{:?}", Access::by_token("0123456789abcdef", None).unwrap());
        assert!(!shown.contains("0123"), "{shown}");
    }
}
