//! The words by which names are judged, and why each list is what it is. Nothing is decided here: that is
//! `keys`' business.
//!
//! The lists begin with oslo.utils' (`_SANITIZE_KEYS` of its `strutils`), whose users know what a report
//! hides, and go on with what other ecosystems call their secrets.

/// A word that, standing by itself in a name, makes it the name of a secret.
///
/// oslo.utils' list, and what it lacks. A salt or a pepper is no secret by itself, but nobody needs it to
/// find a fault, and it helps whoever has the hashes. `auth` is in practice a token or a pair of user and
/// password.
pub(super) const WORDS: &[&str] = &[
    "adminpass",
    "auth",
    "bearer",
    "cephclusterfsid",
    "configdrive",
    "cookie",
    "cookies",
    "cred",
    "creds",
    "csrf",
    "cvc",
    "cvv",
    "dbpass",
    "dsn",
    "hotp",
    "jwt",
    "jwts",
    "keypass",
    "mnemonic",
    "mypwd",
    "newpass",
    "otp",
    "pass",
    "passkey",
    "pepper",
    "pin",
    "pins",
    "pswd",
    "pw",
    "pwd",
    "rootpass",
    "salt",
    "sas",
    "storepass",
    "swifthashsuffix",
    "syspwd",
    "totp",
    "userpass",
    "xsrf",
];

/// What makes a name secret wherever it occurs, words joined: `PGPASSWORD`, `dbpasswd2`, `clientsecret`. Each
/// is too long to occur by chance.
pub(super) const STEMS: &[&str] = &[
    "authorization",
    "connectionstring",
    "connstr",
    "credential",
    "cryptokek",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privkey",
    "rabbitcookie",
    "secret",
    "sessid",
    "sessionid",
];

/// Words that contain a stem and are no secrets.
pub(super) const INNOCENT: &[&str] = &["secretary", "secretariat", "passwordless"];

/// What a key can be of to be a secret one: `api_key`, `apikey`. A key of none of these (a primary key, a
/// sort key, a public key, a keyboard) is no secret.
pub(super) const KEYS_OF: &[&str] = &[
    "access",
    "account",
    "admin",
    "aes",
    "api",
    "app",
    "auth",
    "client",
    "crypt",
    "crypto",
    "decryption",
    "deploy",
    "encrypted",
    "encryption",
    "fernet",
    "heartbeat",
    "hmac",
    "jwt",
    "license",
    "master",
    "priv",
    "private",
    "rndc",
    "rsa",
    "secret",
    "server",
    "service",
    "session",
    "shared",
    "signing",
    "ssh",
    "ssl",
    "storage",
    "tls",
    "webhook",
];

/// Other pairs of words that name a secret. The address of a webhook is all that it takes to post to it.
pub(super) const PAIRS: &[(&str, &str)] = &[
    ("backup", "codes"),
    ("conn", "str"),
    ("connection", "string"),
    ("hook", "url"),
    ("recovery", "code"),
    ("recovery", "codes"),
    ("recovery", "phrase"),
    ("security", "code"),
    ("seed", "phrase"),
    ("session", "id"),
    ("session", "ids"),
    ("signed", "url"),
    ("webhook", "url"),
    ("webhook", "urls"),
];

/// Last words that make a name one of a measure.
pub(super) const MEASURES: &[&str] = &[
    "age",
    "at",
    "attempts",
    "bits",
    "burst",
    "bytes",
    "capacity",
    "cost",
    "count",
    "counter",
    "days",
    "expiration",
    "expires",
    "expiry",
    "failures",
    "hits",
    "hours",
    "interval",
    "iterations",
    "leeway",
    "len",
    "length",
    "lifetime",
    "limit",
    "max",
    "min",
    "minutes",
    "misses",
    "ms",
    "percent",
    "period",
    "rate",
    "ratio",
    "remaining",
    "retries",
    "rounds",
    "sec",
    "seconds",
    "secs",
    "since",
    "size",
    "timeout",
    "total",
    "ttl",
    "until",
    "used",
    "window",
];

/// First words that do the same where the last is a plural: `max_tokens`, `num_secrets`.
pub(super) const MEASURED: &[&str] = &[
    "cached",
    "completion",
    "input",
    "max",
    "maximum",
    "min",
    "minimum",
    "n",
    "num",
    "output",
    "prompt",
    "reasoning",
    "remaining",
    "total",
    "used",
];

/// Last words that make a name one of a place.
pub(super) const PLACES: &[&str] =
    &["dir", "directory", "file", "filename", "files", "folder", "path", "paths"];

/// Last words that make a name one of a property which is no secret, whatever it is a property of.
pub(super) const PROPERTIES: &[&str] = &[
    "alg",
    "algorithm",
    "audience",
    "backend",
    "class",
    "domain",
    "driver",
    "enabled",
    "encoding",
    "format",
    "hasher",
    "host",
    "issuer",
    "kind",
    "method",
    "methods",
    "mode",
    "name",
    "plugin",
    "policy",
    "port",
    "provider",
    "providers",
    "realm",
    "region",
    "required",
    "samesite",
    "scheme",
    "scope",
    "scopes",
    "state",
    "status",
    "strategy",
    "type",
    "user",
    "username",
    "version",
];

/// Last words of addresses. Where a token is issued is no secret; a "secret URL" is one.
pub(super) const ADDRESSES: &[&str] = &["endpoint", "uri", "url", "urls"];

/// The words whose addresses are no secrets.
pub(super) const ADDRESSABLE: &[&str] = &["auth", "authorization", "cookie", "jwt", "token"];

/// Names that are secret in the query of a URL, where they carry a signature, an authorization code or
/// Google's API key, and not elsewhere.
pub(super) const QUERY: &[&str] = &["code", "key", "sid", "sig", "signature"];

/// What follows the noun in the name of a type: `SecretString`, `PasswordBox`.
pub(super) const WRAPPERS: &[&str] = &[
    "box", "buf", "bytes", "cell", "inner", "option", "ref", "slice", "str", "string", "text", "value",
    "vec", "wrapper",
];
