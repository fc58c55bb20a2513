//! What the name of a value says about it.
//!
//! A name is read as words, whatever the style: `dbPassword`, `DB_PASSWORD`, `db-password` and
//! `db.password` are the same two. A word counts only as a whole, so `author` is harmless, and a
//! word after it can take the suspicion away, as in `token_count`.

/// What a key says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyClass {
    /// Nothing.
    Plain,
    /// It is secret.
    Secret,
    /// It is secret, and has spaces and semicolons in it: an authorization header, a cookie.
    SecretLine,
    /// It is what a job, request or message carries.
    Payload,
    /// It is a statement in SQL.
    Sql,
    /// It is a parameter of a statement.
    SqlParameter,
    /// It is a URL, or the target of a request.
    Url,
    /// It is the query of a URL.
    UrlQuery,
}

/// What the key of an attribute says.
pub(super) fn classify(key: &str) -> KeyClass {
    match key {
        "db.query.text" | "db.statement" | "db.sql" | "sql.query" | "sql" => return KeyClass::Sql,
        "url.query" => return KeyClass::UrlQuery,
        "http.target" | "http.url" | "url.full" | "url.original" => return KeyClass::Url,
        _ => {}
    }
    if key.starts_with("db.query.parameter.") || key.starts_with("db.operation.parameter.") {
        return KeyClass::SqlParameter;
    }
    let (class, last) = words(key);
    match class {
        Some(class) => class,
        None if is_payload(key) => KeyClass::Payload,
        None if matches!(last.as_bytes(), b"url" | b"uri" | b"referer") => KeyClass::Url,
        None => KeyClass::Plain,
    }
}

/// What a word before `=` or `:` in a text says.
pub(super) fn classify_word(word: &str) -> KeyClass {
    words(word).0.unwrap_or(KeyClass::Plain)
}

fn is_payload(key: &str) -> bool {
    matches!(
        key,
        "payload"
            | "body"
            | "args"
            | "job.payload"
            | "job.args"
            | "job.result"
            | "message.body"
            | "message.payload"
            | "messaging.message.body"
            | "messaging.message.payload"
            | "longshore.job.args"
            | "longshore.job.result"
    ) || key.ends_with("request.body")
        || key.ends_with("response.body")
}

/// The class that the words of a name give it, and its last word in lower case.
fn words(name: &str) -> (Option<KeyClass>, Word) {
    let mut class = None;
    let mut before = Word::default();
    let mut count = 0;
    for text in Words(name.as_bytes()) {
        let word = Word::of(text);
        if let Some(found) = class_of(before.as_bytes(), word.as_bytes()) {
            class = Some(found);
        } else if class.is_some() && is_about(word.as_bytes()) {
            class = None;
        }
        before = word;
        count += 1;
    }
    if class.is_none() && count == 1 && matches!(before.as_bytes(), b"auth" | b"sig") {
        class = Some(KeyClass::Secret);
    }
    (class, before)
}

/// The class of a value whose name has these two words in a row.
fn class_of(before: &[u8], word: &[u8]) -> Option<KeyClass> {
    let line = matches!(
        word,
        b"authorization"
            | b"cookie"
            | b"cookies"
            | b"setcookie"
            | b"passphrase"
            | b"mnemonic"
            | b"seedphrase"
    ) || matches!(
        (before, word),
        (b"seed" | b"recovery", b"phrase") | (b"pass", b"phrase")
    );
    if line {
        return Some(KeyClass::SecretLine);
    }
    let alone = matches!(
        word,
        b"password"
            | b"passwords"
            | b"passwd"
            | b"pwd"
            | b"passwort"
            | b"kennwort"
            | b"passcode"
            | b"secret"
            | b"secrets"
            | b"credential"
            | b"credentials"
            | b"apikey"
            | b"apikeys"
            | b"jwt"
            | b"bearer"
            | b"otp"
            | b"totp"
            | b"cvv"
            | b"cvc"
            | b"ssn"
            | b"sessionid"
            | b"jsessionid"
            | b"phpsessid"
            | b"sessid"
            | b"cardnumber"
    );
    let secret = alone || is_secret_token(before, word) || is_pair(before, word) || is_joined(word);
    secret.then_some(KeyClass::Secret)
}

/// `token`, unless the word before says that it is a place in a list or a lock.
fn is_secret_token(before: &[u8], word: &[u8]) -> bool {
    match word {
        b"token" => !matches!(
            before,
            b"page" | b"next" | b"continuation" | b"cancellation" | b"cancel" | b"fencing" | b"per"
        ),
        b"tokens" => matches!(
            before,
            b"access" | b"api" | b"auth" | b"bearer" | b"refresh" | b"secret" | b"session"
        ),
        _ => false,
    }
}

fn is_pair(before: &[u8], word: &[u8]) -> bool {
    match word {
        b"key" | b"keys" => matches!(
            before,
            b"access"
                | b"account"
                | b"aes"
                | b"api"
                | b"auth"
                | b"encryption"
                | b"hmac"
                | b"master"
                | b"private"
                | b"secret"
                | b"session"
                | b"shared"
                | b"signing"
                | b"ssh"
                | b"storage"
                | b"subscription"
        ),
        b"pass" => matches!(
            before,
            b"admin"
                | b"database"
                | b"db"
                | b"ftp"
                | b"ldap"
                | b"mail"
                | b"mysql"
                | b"pg"
                | b"redis"
                | b"root"
                | b"smtp"
                | b"user"
        ),
        b"word" => before == b"pass",
        b"number" => matches!(before, b"card" | b"iban"),
        b"pin" => before == b"card",
        b"code" | b"codes" => matches!(before, b"backup" | b"mfa" | b"pin" | b"recovery"),
        b"auth" => matches!(before, b"basic" | b"x"),
        b"signature" => matches!(before, b"amz" | b"goog" | b"hmac"),
        b"sid" => before == b"connect",
        _ => false,
    }
}

/// Words written together, such as `accesstoken` and `pgpassword`.
fn is_joined(word: &[u8]) -> bool {
    let ends = [
        &b"password"[..],
        b"passwd",
        b"secret",
        b"token",
        b"apikey",
        b"secretkey",
        b"accesskey",
        b"privatekey",
        b"passphrase",
    ];
    (ends.iter()).any(|end| word.len() > end.len() && word.ends_with(end))
}

/// Words after a secret one that make the value something about it.
fn is_about(word: &[u8]) -> bool {
    matches!(
        word,
        b"age"
            | b"algorithm"
            | b"allowed"
            | b"bucket"
            | b"budget"
            | b"bytes"
            | b"changed"
            | b"cost"
            | b"count"
            | b"counter"
            | b"counts"
            | b"created"
            | b"decision"
            | b"enabled"
            | b"endpoint"
            | b"error"
            | b"expired"
            | b"expires"
            | b"expiration"
            | b"expiry"
            | b"granted"
            | b"index"
            | b"issuer"
            | b"kind"
            | b"length"
            | b"len"
            | b"lifetime"
            | b"limit"
            | b"manager"
            | b"method"
            | b"mode"
            | b"name"
            | b"names"
            | b"outcome"
            | b"policy"
            | b"present"
            | b"provider"
            | b"rate"
            | b"ratio"
            | b"required"
            | b"reset"
            | b"result"
            | b"rotation"
            | b"scheme"
            | b"scope"
            | b"server"
            | b"size"
            | b"source"
            | b"status"
            | b"total"
            | b"ttl"
            | b"type"
            | b"types"
            | b"uri"
            | b"url"
            | b"usage"
            | b"used"
            | b"valid"
            | b"validity"
            | b"version"
    )
}

/// A word in lower case, without digits at its end; of a long one, its end.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    letters: [u8; Self::LONGEST],
    length: usize,
}

impl Word {
    const LONGEST: usize = 24;

    fn of(text: &[u8]) -> Self {
        let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let text = text.get(..text.len() - digits).unwrap_or_default();
        let text = text
            .get(text.len().saturating_sub(Self::LONGEST)..)
            .unwrap_or_default();
        let mut word = Self {
            length: text.len(),
            ..Self::default()
        };
        for (to, from) in word.letters.iter_mut().zip(text) {
            *to = from.to_ascii_lowercase();
        }
        word
    }

    fn as_bytes(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or_default()
    }
}

/// The words of a name in any style. Bytes that are neither letters nor digits stand between
/// words; so does a change from lower to upper case.
struct Words<'name>(&'name [u8]);

impl<'name> Iterator for Words<'name> {
    type Item = &'name [u8];

    fn next(&mut self) -> Option<&'name [u8]> {
        let start = self.0.iter().position(u8::is_ascii_alphanumeric)?;
        let rest = self.0.get(start..)?;
        let mut end = rest.len();
        for (index, pair) in rest.windows(2).enumerate() {
            let &[this, next] = pair else { continue };
            let after = rest.get(index + 2).copied().unwrap_or(0);
            let humps = next.is_ascii_uppercase()
                && (!this.is_ascii_uppercase() || after.is_ascii_lowercase());
            if !next.is_ascii_alphanumeric() || humps {
                end = index + 1;
                break;
            }
        }
        let (word, tail) = rest.split_at_checked(end)?;
        self.0 = tail;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_known_in_every_style() {
        for key in [
            "password",
            "user.password",
            "dbPassword",
            "DB_PASSWORD",
            "db-password",
            "PGPASSWORD",
            "Password2",
            "user_passwd",
            "hmac_secret",
            "oidc_token",
            "bearer_token",
            "api_key",
            "apiKey",
            "APIKey",
            "X-API-Key",
            "x-api-key",
            "APIKEY",
            "api.key",
            "apikey",
            "accessToken",
            "access_token",
            "accesstoken",
            "IDToken",
            "client_secret",
            "clientSecret",
            "aws_secret_access_key",
            "AWS_ACCESS_KEY_ID",
            "AccountKey",
            "SharedAccessKey",
            "privateKey",
            "http.request.header.x-auth-token",
            "auth.token",
            "payment.card_number",
            "cardNumber",
            "smtp_pass",
            "password_hash",
            "reset_token",
            "auth_tokens",
            "vault.secret_id",
            "X-Amz-Signature",
            "passWord",
            "jwt",
            "cvv",
            "password_reset_token",
            "_token",
            "token_",
            "sessionid",
            "connect.sid",
        ] {
            assert_eq!(classify(key), KeyClass::Secret, "{key}");
        }
        for key in [
            "authorization",
            "Authorization",
            "http.request.header.authorization",
            "proxy-authorization",
            "cookie",
            "http.response.header.set-cookie",
            "Set-Cookie",
            "set_cookie",
            "passphrase",
            "seed_phrase",
        ] {
            assert_eq!(classify(key), KeyClass::SecretLine, "{key}");
        }
    }

    #[test]
    fn lookalikes_are_harmless() {
        for key in [
            "token_count",
            "max_tokens",
            "author",
            "authority",
            "authenticated",
            "prompt_tokens",
            "tokens",
            "tokenizer",
            "secretary",
            "password_length",
            "token_type",
            "passwordless",
            "next_page_token",
            "primary_key",
            "partition.key",
            "key",
            "keyboard",
            "cookie_count",
            "secret_name",
            "token.expires_in",
            "authorization_decision",
            "user.id",
            "pass",
            "bypass",
            "compass",
            "messaging.message.id",
            "session.id",
            "cardinality",
            "gen_ai.usage.input_tokens",
        ] {
            assert_eq!(classify(key), KeyClass::Plain, "{key}");
        }
    }

    #[test]
    fn typed_keys() {
        assert_eq!(classify("db.query.text"), KeyClass::Sql);
        assert_eq!(classify("db.query.parameter.id"), KeyClass::SqlParameter);
        assert_eq!(classify("url.full"), KeyClass::Url);
        assert_eq!(classify("callback_url"), KeyClass::Url);
        assert_eq!(classify("url.query"), KeyClass::UrlQuery);
        assert_eq!(classify("http.request.body"), KeyClass::Payload);
        assert_eq!(classify("messaging.message.body.size"), KeyClass::Plain);
        assert_eq!(classify(""), KeyClass::Plain);
        assert_eq!(classify("ключ"), KeyClass::Plain);
    }
}
