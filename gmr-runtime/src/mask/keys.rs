//! Judging names: from what a field, a flag, a variable or a type is called to whether its value is a secret.
//! It never sees the value itself, save for [`Verdict::shows`], which asks whether a text can be anything but
//! a secret.

use super::boundary;
use super::lexicon::{
    ADDRESSABLE, ADDRESSES, INNOCENT, KEYS_OF, MEASURED, MEASURES, PAIRS, PLACES, PROPERTIES, QUERY, STEMS,
    WORDS, WRAPPERS,
};

/// What a name tells about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: the value has to be judged by itself.
    Plain,
    /// A measure of a secret, such as its length or its lifetime: numbers are shown.
    Measure,
    /// Where a secret lies: paths are shown.
    Path,
    /// The secret itself.
    Secret,
}

impl Verdict {
    /// The verdict on what lies within: a secret's parts are secret, and a plain name inside of a container
    /// that holds measures or paths does not lift what the container's name said.
    pub(super) fn within(self, part: Verdict) -> Verdict {
        match (self, part) {
            (Verdict::Secret, _) => Verdict::Secret,
            (container, Verdict::Plain) => container,
            (_, part) => part,
        }
    }

    /// Whether a text under such a name may be shown, once its own content has been judged too.
    pub(super) fn shows(self, text: &str) -> bool {
        match self {
            Verdict::Plain => true,
            _ if is_vacant(text) => true,
            Verdict::Measure => is_measure(text),
            Verdict::Path => is_path(text),
            Verdict::Secret => false,
        }
    }
}

/// Whether a text says no more than that something is set, or unset, or has been masked before. That a
/// password is empty is what somebody who looks for a fault needs to know.
fn is_vacant(text: &str) -> bool {
    const VACANT: &[&str] =
        &["", "true", "false", "yes", "no", "on", "off", "null", "none", "nil", super::MASK];
    VACANT.iter().any(|vacant| text.trim().eq_ignore_ascii_case(vacant))
}

/// Whether a text is a number, a duration, a size or a time stamp: `30`, `1h 30m`, `2024-01-01T00:00:00Z`.
fn is_measure(text: &str) -> bool {
    const UNITS: &[&str] = &[
        "ns", "us", "µs", "ms", "s", "sec", "secs", "m", "min", "mins", "h", "hr", "hours", "d", "day",
        "days", "w", "b", "k", "kb", "mb", "gb", "kib", "mib", "gib", "t", "z", "utc",
    ];
    let unit = |run: &str| UNITS.iter().any(|unit| run.eq_ignore_ascii_case(unit));
    // The longest thing that people measure is a time stamp with nanoseconds and an offset.
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        && text.chars().all(|c| c.is_alphanumeric() || " .:+-_%".contains(c))
        && text.split(|c: char| !c.is_alphabetic()).filter(|run| !run.is_empty()).all(unit)
}

/// Whether a text looks like the path of a file, and not like something that was read from one.
fn is_path(text: &str) -> bool {
    const LONGEST: usize = 4096; // PATH_MAX
    text.len() <= LONGEST && text.contains(['/', '\\', '.', '~']) && !text.contains(char::is_control)
}

/// No name is longer than this; of one that is, the end is judged, where its noun stands.
const LONGEST: usize = 256;

/// The verdict on the name of a field, a variable or a flag.
pub(super) fn judge(name: &str) -> Verdict {
    verdict(&words(name))
}

/// The verdict on the name of a parameter in a URL's query.
pub(super) fn judge_parameter(name: &str) -> Verdict {
    let words = words(name);
    let signed = words.last().is_some_and(|last| QUERY.contains(&last.as_str()));
    if signed { Verdict::Secret } else { verdict(&words) }
}

/// Whether a type or a variant of this name holds a secret. Its last word is what it is: a `DbPassword` is a
/// password, a `PasswordPolicy` or an `AuthConfig` is none, and its fields are judged by their own names.
pub(super) fn is_secret_type(name: &str) -> bool {
    let mut words = words(name);
    while words.len() > 1 && words.last().is_some_and(|last| WRAPPERS.contains(&last.as_str())) {
        words.pop();
    }
    let noun = &words[words.len().saturating_sub(2)..];
    is_pair(noun) || words.last().is_some_and(|last| is_word(last))
}

/// Whether `first last`, words of a text, name a secret together, as in `API key`.
pub(super) fn is_secret_phrase(first: &str, last: &str) -> bool {
    is_pair(&[first.to_lowercase(), last.to_lowercase()])
}

/// Whether a name is one of a password, in the narrow sense of what a program asks a person for.
pub(super) fn is_password(name: &str) -> bool {
    judge(name) == Verdict::Secret
        && words(name).last().is_some_and(|word| word.starts_with("pass") || word == "by")
}

/// Whether a name is that of an HTTP header which is a secret to the end of its line.
pub(super) fn is_header(name: &str) -> bool {
    words(name).last().is_some_and(|last| ["authorization", "cookie"].contains(&last.as_str()))
}

fn verdict(words: &[String]) -> Verdict {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return Verdict::Plain };
    if !is_secret(words) {
        Verdict::Plain
    } else if words.len() == 1 {
        Verdict::Secret
    } else if MEASURES.contains(&last.as_str()) || (MEASURED.contains(&first.as_str()) && last.ends_with('s'))
    {
        Verdict::Measure
    } else if PLACES.contains(&last.as_str()) {
        Verdict::Path
    } else if PROPERTIES.contains(&last.as_str()) || is_address(words, last) {
        Verdict::Plain
    } else {
        Verdict::Secret
    }
}

fn is_secret(words: &[String]) -> bool {
    let joined = || words.concat();
    words.iter().any(|word| is_word(word)) || words.windows(2).any(is_pair) || has_stem(&joined())
}

fn is_address(words: &[String], last: &str) -> bool {
    let rest = &words[..words.len() - 1];
    let only_addressable =
        || rest.iter().filter(|word| is_word(word)).all(|word| ADDRESSABLE.contains(&word.as_str()));
    ADDRESSES.contains(&last) && only_addressable() && !is_pair(&words[words.len() - 2..])
}

fn is_word(word: &str) -> bool {
    WORDS.contains(&word) || is_token(word) || has_stem(word) || is_joined_key(word)
}

/// `token`, `authtoken`, but no `tokenizer`.
fn is_token(word: &str) -> bool {
    word.ends_with("token") || word.ends_with("tokens")
}

fn has_stem(word: &str) -> bool {
    STEMS.iter().any(|stem| word.contains(stem)) && !INNOCENT.iter().any(|innocent| word.contains(innocent))
}

/// `apikey`, `sslkey`, and whatever key of Ceph's: oslo.utils lists `cephadminkey`, `cephmonkey` and more.
fn is_joined_key(word: &str) -> bool {
    let key = word.strip_suffix('s').unwrap_or(word).strip_suffix("key");
    key.is_some_and(|of| of.starts_with("ceph") || KEYS_OF.iter().any(|kind| of.ends_with(kind)))
}

fn is_pair(pair: &[String]) -> bool {
    let [first, last] = pair else { return false };
    let key = matches!(last.as_str(), "key" | "keys") && KEYS_OF.contains(&first.as_str());
    key || PAIRS.contains(&(first, last))
}

/// The words of a name in lower case: it is taken apart where it changes from lower to upper case, at digits,
/// and at whatever is neither letter nor digit. `APIKey2`, `api-key`, `api.key` and `api_key` are all `api`,
/// `key`.
fn words(name: &str) -> Vec<String> {
    let start = name.len().saturating_sub(LONGEST);
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
    fn secrets_are_known_by_their_names() {
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
            assert_eq!(judge(name), Verdict::Secret, "{name}");
        }
    }

    #[test]
    fn names_that_only_look_like_it_are_not() {
        for name in names(
            "author authority passenger passengers compass bypass tokenizer_model tokenize keyboard key \
             primary_key sort_key cache_key public_key sshPublicKey routing_key monkey secretary pinned pine \
             opinion shipping spin dashboard session user username auth_url auth_type auth_strategy token_url \
             token_endpoint token_type cookie_name cookie_domain secret_name credentials_provider \
             password_policy oauth signature code assault basalt hook url key_path keyspace 12 ___ пароль",
        ) {
            assert_eq!(judge(name), Verdict::Plain, "{name}");
        }
    }

    #[test]
    fn measures_and_places_are_told_from_what_they_measure() {
        for name in
            ["max_tokens", "token_ttl", "password_min_length", "tokenCount", "secret_bits", "prompt_tokens"]
        {
            assert_eq!(judge(name), Verdict::Measure, "{name}");
        }
        for name in
            ["password_file", "private_key_path", "SECRETS_DIR", "GOOGLE_CREDENTIALS_FILE", "ssl_key_file"]
        {
            assert_eq!(judge(name), Verdict::Path, "{name}");
        }
    }

    #[test]
    fn what_is_shown_under_each_verdict() {
        for (verdict, text, shown) in [
            (Verdict::Plain, "anything", true),
            (Verdict::Secret, "hunter2", false),
            (Verdict::Secret, "", true),
            (Verdict::Secret, "True", true),
            (Verdict::Secret, "0", false),
            (Verdict::Measure, "42", true),
            (Verdict::Measure, "1h 30m", true),
            (Verdict::Measure, "2024-01-01T00:00:00.123Z", true),
            (Verdict::Measure, "12abcdef", false),
            (Verdict::Measure, "hunter2", false),
            (Verdict::Path, "/run/secrets/db", true),
            (Verdict::Path, "db.pem", true),
            (Verdict::Path, "hunter2", false),
            (Verdict::Path, "/a\nhunter2", false),
        ] {
            assert_eq!(verdict.shows(text), shown, "{verdict:?} {text:?}");
        }
    }

    #[test]
    fn a_type_is_what_its_last_word_says() {
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
    fn a_query_has_secrets_of_its_own() {
        for name in ["sig", "X-Amz-Signature", "code", "key", "token"] {
            assert_eq!(judge_parameter(name), Verdict::Secret, "{name}");
        }
        for name in ["q", "page", "keyword", "codec"] {
            assert_eq!(judge_parameter(name), Verdict::Plain, "{name}");
        }
    }

    #[test]
    fn a_name_of_any_length_is_judged_by_its_end() {
        let long = format!("{}é_password", "x".repeat(1 << 20));
        assert_eq!(judge(&long), Verdict::Secret);
    }
}
