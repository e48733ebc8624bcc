//! Classifies the names of fields, flags, variables and types: do they name a secret? Only
//! [`Sensitivity::allows`] looks at a value, to decide whether it can be a secret at all. The words
//! are in `lexicon`; what to mask in text is up to the other files.

use super::boundary;
use super::lexicon::{
    ADDRESS_SUFFIXES, KEY_KINDS, MEASURE_PREFIXES, MEASURE_SUFFIXES, PATH_SUFFIXES, PROPERTY_SUFFIXES,
    PUBLIC_ADDRESSES, QUERY_PARAMETERS, STEM_EXCEPTIONS, STEMS, TYPE_SUFFIXES, WORD_PAIRS, WORDS,
};

/// How sensitive a value is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sensitivity {
    /// The name says nothing: the value is masked by its content alone.
    Plain,
    /// A measure of a secret, such as its length or lifetime: numbers are shown.
    Measure,
    /// Where a secret is stored: paths are shown.
    Path,
    /// The secret itself.
    Secret,
}

impl Sensitivity {
    /// The sensitivity of a part inside of a container with this one: a secret's parts are secret,
    /// and a part with a plain name inherits from its container.
    pub(super) fn nest(self, part: Sensitivity) -> Sensitivity {
        match (self, part) {
            (Sensitivity::Secret, _) => Sensitivity::Secret,
            (container, Sensitivity::Plain) => container,
            (_, part) => part,
        }
    }

    /// Whether text under such a name may be shown, with the secrets in its content masked.
    pub(super) fn allows(self, text: &str) -> bool {
        match self {
            Sensitivity::Plain => true,
            _ if is_uninformative(text) => true,
            Sensitivity::Measure => is_measure(text),
            Sensitivity::Path => is_path(text),
            Sensitivity::Secret => false,
        }
    }
}

/// Whether a text only says that something is set, unset, or already masked. That a password is
/// empty can be the fault you are looking for.
fn is_uninformative(text: &str) -> bool {
    const UNINFORMATIVE: &[&str] =
        &["", "true", "false", "yes", "no", "on", "off", "null", "none", "nil", super::MASK];
    UNINFORMATIVE.iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

/// Whether a text is a number, a duration, a size or a timestamp: `30`, `1h 30m`,
/// `2024-01-01T00:00:00Z`.
fn is_measure(text: &str) -> bool {
    const UNITS: &[&str] = &[
        "ns", "us", "µs", "ms", "s", "sec", "secs", "m", "min", "mins", "h", "hr", "hours", "d", "day",
        "days", "w", "b", "k", "kb", "mb", "gb", "kib", "mib", "gib", "t", "z", "utc",
    ];
    let unit = |run: &str| UNITS.iter().any(|unit| run.eq_ignore_ascii_case(unit));
    // The longest measure is a timestamp with nanoseconds and an offset.
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        && text.chars().all(|c| c.is_alphanumeric() || " .:+-_%".contains(c))
        && text.split(|c: char| !c.is_alphabetic()).filter(|run| !run.is_empty()).all(unit)
}

/// Whether a text looks like the path of a file, and not like a file's content.
fn is_path(text: &str) -> bool {
    const MAX_LEN: usize = 4096; // PATH_MAX
    text.len() <= MAX_LEN && text.contains(['/', '\\', '.', '~']) && !text.contains(char::is_control)
}

/// Of a longer name, only the end is classified, because that is where its noun is.
const MAX_NAME_LEN: usize = 256;

/// Classifies the name of a field, a variable or a flag.
pub(super) fn classify(name: &str) -> Sensitivity {
    classify_words(&words(name))
}

/// Classifies the name of a parameter in a URL's query.
pub(super) fn classify_parameter(name: &str) -> Sensitivity {
    let words = words(name);
    let is_query_secret = words.last().is_some_and(|last| QUERY_PARAMETERS.contains(&last.as_str()));
    if is_query_secret { Sensitivity::Secret } else { classify_words(&words) }
}

/// Whether a type or a variant of this name holds a secret. The last word decides: a `DbPassword`
/// is a password; a `PasswordPolicy` or an `AuthConfig` is not, and its fields are classified by
/// their own names.
pub(super) fn is_secret_type(name: &str) -> bool {
    let mut words = words(name);
    while words.len() > 1 && words.last().is_some_and(|last| TYPE_SUFFIXES.contains(&last.as_str())) {
        words.pop();
    }
    let noun = &words[words.len().saturating_sub(2)..];
    is_pair(noun) || words.last().is_some_and(|last| is_word(last))
}

/// Whether two words of a text name a secret together, as in `API key`.
pub(super) fn is_secret_phrase(first: &str, last: &str) -> bool {
    is_pair(&[first.to_lowercase(), last.to_lowercase()])
}

/// Whether a name is that of a password in the narrow sense: what a program asks a person for.
pub(super) fn is_password(name: &str) -> bool {
    classify(name) == Sensitivity::Secret
        && words(name).last().is_some_and(|word| word.starts_with("pass") || word == "by")
}

/// Whether a name is that of an HTTP header whose value is secret to the end of its line.
pub(super) fn is_header(name: &str) -> bool {
    words(name).last().is_some_and(|last| ["authorization", "cookie"].contains(&last.as_str()))
}

fn classify_words(words: &[String]) -> Sensitivity {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return Sensitivity::Plain };
    if !is_secret(words) {
        Sensitivity::Plain
    } else if words.len() == 1 {
        Sensitivity::Secret
    } else if MEASURE_SUFFIXES.contains(&last.as_str())
        || (MEASURE_PREFIXES.contains(&first.as_str()) && last.ends_with('s'))
    {
        Sensitivity::Measure
    } else if PATH_SUFFIXES.contains(&last.as_str()) {
        Sensitivity::Path
    } else if PROPERTY_SUFFIXES.contains(&last.as_str()) || is_address(words, last) {
        Sensitivity::Plain
    } else {
        Sensitivity::Secret
    }
}

fn is_secret(words: &[String]) -> bool {
    let joined = || words.concat();
    words.iter().any(|word| is_word(word)) || words.windows(2).any(is_pair) || has_stem(&joined())
}

fn is_address(words: &[String], last: &str) -> bool {
    let rest = &words[..words.len() - 1];
    let only_addressable =
        || rest.iter().filter(|word| is_word(word)).all(|word| PUBLIC_ADDRESSES.contains(&word.as_str()));
    ADDRESS_SUFFIXES.contains(&last) && only_addressable() && !is_pair(&words[words.len() - 2..])
}

fn is_word(word: &str) -> bool {
    WORDS.contains(&word) || is_token_word(word) || has_stem(word) || is_joined_key(word)
}

/// `token` and `authtoken`, but not `tokenizer`.
fn is_token_word(word: &str) -> bool {
    word.ends_with("token") || word.ends_with("tokens")
}

fn has_stem(word: &str) -> bool {
    STEMS.iter().any(|stem| word.contains(stem))
        && !STEM_EXCEPTIONS.iter().any(|exception| word.contains(exception))
}

/// `apikey`, `sslkey`, and any key of Ceph: oslo.utils lists `cephadminkey`, `cephmonkey` and more.
fn is_joined_key(word: &str) -> bool {
    let key = word.strip_suffix('s').unwrap_or(word).strip_suffix("key");
    key.is_some_and(|of| of.starts_with("ceph") || KEY_KINDS.iter().any(|kind| of.ends_with(kind)))
}

fn is_pair(pair: &[String]) -> bool {
    let [first, last] = pair else { return false };
    let key = matches!(last.as_str(), "key" | "keys") && KEY_KINDS.contains(&first.as_str());
    key || WORD_PAIRS.contains(&(first, last))
}

/// The words of a name in lower case. A name is split where lower case changes to upper case, at
/// digits, and at punctuation: `APIKey2`, `api-key`, `api.key` and `api_key` all become `api`,
/// `key`.
fn words(name: &str) -> Vec<String> {
    let start = name.len().saturating_sub(MAX_NAME_LEN);
    let name = &name[boundary::ceil(name, start)..];
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let hump = c.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || rest.peek().is_some_and(|next| next.is_lowercase()));
        if (hump || !c.is_alphabetic()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> impl Iterator<Item = &str> {
        names.split(' ')
    }

    #[test]
    fn names_of_secrets_are_recognized() {
        for name in names(
            "adminpass adminPass admin_pass password admin_password auth_token new_pass auth_password \
             secret_uuid secret sys_pswd token configdrive chappassword CHAPPASSWORD encrypted_key \
             private_key fernetkey sslkey passphrase cephclusterfsid octaviaheartbeatkey rabbitcookie \
             cephmanilaclientkey pacemakerremoteauthkey designaterndckey cephadminkey heatauthencryptionkey \
             cephclientkey keystonecredential barbicansimplecryptokek cephrgwkey swifthashsuffix \
             migrationsshkey cephmdskey cephmonkey original_password password2 clientsecret passwd pwd \
             PGPASSWORD MYSQL_PWD db.pass dbPass DB_PASS_2 api_key apiKey APIKey x-api-key apikey \
             AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID access-key signing_key encryption.key secret_key_base \
             credential credentials gcpCredentials cookie Set-Cookie Authorization proxy-authorization auth \
             basic_auth dsn SENTRY_DSN connection_string ConnectionString session_id sessionId PHPSESSID \
             bearer jwt jwt_key otp pin card_pin sas salt webhook_url slackWebhookUrl secret_url \
             password_hash tokens accesstoken refreshToken oauth2_token token_id secretId tls_key \
             users[password]",
        ) {
            assert_eq!(classify(name), Sensitivity::Secret, "{name}");
        }
    }

    #[test]
    fn names_that_only_resemble_them_are_plain() {
        for name in names(
            "author authority passenger passengers compass bypass tokenizer_model tokenize keyboard key \
             primary_key sort_key cache_key public_key sshPublicKey routing_key monkey secretary pinned pine \
             opinion shipping spin dashboard session user username auth_url auth_type auth_strategy token_url \
             token_endpoint token_type cookie_name cookie_domain secret_name credentials_provider \
             password_policy oauth signature code assault basalt hook url key_path keyspace 12 ___ пароль",
        ) {
            assert_eq!(classify(name), Sensitivity::Plain, "{name}");
        }
    }

    #[test]
    fn measures_and_paths_are_told_from_secrets() {
        for name in
            ["max_tokens", "token_ttl", "password_min_length", "tokenCount", "secret_bits", "prompt_tokens"]
        {
            assert_eq!(classify(name), Sensitivity::Measure, "{name}");
        }
        for name in
            ["password_file", "private_key_path", "SECRETS_DIR", "GOOGLE_CREDENTIALS_FILE", "ssl_key_file"]
        {
            assert_eq!(classify(name), Sensitivity::Path, "{name}");
        }
    }

    #[test]
    fn what_each_sensitivity_allows() {
        for (sensitivity, text, shown) in [
            (Sensitivity::Plain, "anything", true),
            (Sensitivity::Secret, "hunter2", false),
            (Sensitivity::Secret, "", true),
            (Sensitivity::Secret, "True", true),
            (Sensitivity::Secret, "0", false),
            (Sensitivity::Measure, "42", true),
            (Sensitivity::Measure, "1h 30m", true),
            (Sensitivity::Measure, "2024-01-01T00:00:00.123Z", true),
            (Sensitivity::Measure, "12abcdef", false),
            (Sensitivity::Measure, "hunter2", false),
            (Sensitivity::Path, "/run/secrets/db", true),
            (Sensitivity::Path, "db.pem", true),
            (Sensitivity::Path, "hunter2", false),
            (Sensitivity::Path, "/a\nhunter2", false),
        ] {
            assert_eq!(sensitivity.allows(text), shown, "{sensitivity:?} {text:?}");
        }
    }

    #[test]
    fn the_last_word_of_a_type_decides() {
        for name in
            ["Password", "DbPassword", "SecretString", "ApiKey", "Credentials", "Token", "PrivateKeyBytes"]
        {
            assert!(is_secret_type(name), "{name}");
        }
        for name in names("AuthConfig PasswordPolicy TokenBucket SecretManager String Author PublicKey") {
            assert!(!is_secret_type(name), "{name}");
        }
    }

    #[test]
    fn queries_have_secrets_of_their_own() {
        for name in ["sig", "X-Amz-Signature", "code", "key", "token"] {
            assert_eq!(classify_parameter(name), Sensitivity::Secret, "{name}");
        }
        for name in ["q", "page", "keyword", "codec"] {
            assert_eq!(classify_parameter(name), Sensitivity::Plain, "{name}");
        }
    }

    #[test]
    fn the_end_of_a_long_name_decides() {
        let long = format!("{}é_password", "x".repeat(1 << 20));
        assert_eq!(classify(&long), Sensitivity::Secret);
    }
}
