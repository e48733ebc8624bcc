//! The words by which `keys` classifies names, and why each list is what it is. It only holds data.
//!
//! The lists start from those of oslo.utils (`_SANITIZE_KEYS` in its `strutils`), whose users know
//! what a report hides, and add what other ecosystems call their secrets.

/// Words that make a name secret if they are whole words of it.
///
/// This is the list of oslo.utils with additions. A salt or a pepper is not secret by itself, but
/// finding a fault does not take it, and it helps an attacker who has the hashes. `auth` is in
/// practice a token, or a user and a password.
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

/// Strings that make a name secret wherever they occur in it, even across words: `PGPASSWORD`,
/// `dbpasswd2`, `clientsecret`. Each is too long to occur by chance.
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

/// Words that contain a stem and name no secret.
pub(super) const STEM_EXCEPTIONS: &[&str] = &["secretary", "secretariat", "passwordless"];

/// Words that make the word `key` after them secret: `api_key`, `apikey`. Other keys (a primary
/// key, a sort key, a public key, a keyboard) are not secret.
pub(super) const KEY_KINDS: &[&str] = &[
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

/// Other pairs of words that name a secret. Anyone who has the URL of a webhook can post to it.
pub(super) const WORD_PAIRS: &[(&str, &str)] = &[
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

/// Last words that make a name that of a measure.
pub(super) const MEASURE_SUFFIXES: &[&str] = &[
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

/// First words that do the same if the last word is a plural: `max_tokens`, `num_secrets`.
pub(super) const MEASURE_PREFIXES: &[&str] = &[
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

/// Last words that make a name that of a path.
pub(super) const PATH_SUFFIXES: &[&str] =
    &["dir", "directory", "file", "filename", "files", "folder", "path", "paths"];

/// Last words that make a name that of a property which is not secret, whatever it belongs to.
pub(super) const PROPERTY_SUFFIXES: &[&str] = &[
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

/// Last words of addresses. Where a token is issued is not secret; a "secret URL" is.
pub(super) const ADDRESS_SUFFIXES: &[&str] = &["endpoint", "uri", "url", "urls"];

/// The words whose addresses are not secret.
pub(super) const PUBLIC_ADDRESSES: &[&str] = &["auth", "authorization", "cookie", "jwt", "token"];

/// Last words that make a name secret only in the query of a URL, where it holds a signature, an
/// authorization code or Google's API key.
pub(super) const QUERY_PARAMETERS: &[&str] = &["code", "key", "sid", "sig", "signature"];

/// Words that follow the noun in the name of a type: `SecretString`, `PasswordBox`.
pub(super) const TYPE_SUFFIXES: &[&str] = &[
    "box", "buf", "bytes", "cell", "inner", "option", "ref", "slice", "str", "string", "text", "value",
    "vec", "wrapper",
];
