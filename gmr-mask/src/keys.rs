//! Classifies the names of fields, flags, variables and types: do they name a secret? Only
//! [`Sensitivity::allows`] looks at a value, to decide whether it can be a secret at all. The words
//! are in `lexicon`; what to mask in text is up to the other files.

use std::borrow::Cow;

use super::foreign::{FOREIGN_EXCEPTIONS, FOREIGN_PHRASES, FOREIGN_STEMS, FOREIGN_WORDS};
use super::index::{Beginnings, Index, Set, beginning, by_first_byte, firsts, has};
use super::lexicon::{
    ADDRESS_SUFFIXES, KEY_KINDS, MEASURE_PREFIXES, MEASURE_SUFFIXES, PATH_SUFFIXES, PROPERTY_SUFFIXES,
    PUBLIC_ADDRESSES, QUERY_PARAMETERS, STEM_EXCEPTIONS, STEMS, TYPE_SUFFIXES, WORD_PAIRS, WORDS,
};
use super::nouns::{
    ENDS_OF_KEYS, GROUPS, GROUPS_OF_USERS, HARMLESS_KEYS, IDENTITIES, JOINED_SUFFIXES, KEY_NAMES, KEY_NOUNS,
    NO_KEYS, NOT_JOINED, SHOWN_IN_GROUPS, USERS,
};
use super::words::Words;
use super::{hand, looks};

/// How sensitive a value is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sensitivity {
    /// The name says nothing: the value is masked by its content alone.
    Plain,
    /// A measure of a secret, such as its length or lifetime: numbers are shown.
    Measure,
    /// Where a secret is stored: paths are shown.
    Path,
    /// Some key: it is shown unless it looks random.
    Key,
    /// Who somebody is: it is shown unless it is random, as the number of a key is, or follows the
    /// rules for passwords: some put both into one setting.
    Identity,
    /// A group of settings about secrets, `auth` or `credentials`: a map is judged by its fields,
    /// and anything else is secret.
    Group,
    /// The same, with the name of a user that is not secret.
    GroupOfUser,
    /// A setting in such a group that is not secret, unless it holds others.
    Setting,
    /// The secret itself.
    Secret,
}

impl Sensitivity {
    /// The sensitivity of a part inside of a container with this one: a secret's parts are secret,
    /// and a part with a plain name inherits from its container.
    pub(super) fn nest(self, part: Sensitivity) -> Sensitivity {
        match (self, part) {
            (Sensitivity::Secret, _) => Sensitivity::Secret,
            (
                Sensitivity::Group | Sensitivity::GroupOfUser | Sensitivity::Setting,
                Sensitivity::Plain | Sensitivity::Key | Sensitivity::Identity,
            ) => self,
            (container, Sensitivity::Plain) => container,
            (_, part) => part,
        }
    }

    /// Whether text under such a name may be shown, with the secrets in its content masked.
    pub(super) fn allows(self, text: &str) -> bool {
        match self {
            Sensitivity::Plain | Sensitivity::Setting => true,
            _ if is_uninformative(text) => true,
            Sensitivity::Measure => is_measure(text),
            Sensitivity::Path => is_path(text),
            Sensitivity::Identity => !looks::is_random(text) && !looks::is_by_password_rules(text),
            Sensitivity::Key => !looks::is_opaque(text) && !looks::is_random(text),
            Sensitivity::Secret | Sensitivity::Group | Sensitivity::GroupOfUser => false,
        }
    }

    /// Whether numbers are shown under such a name.
    pub(super) fn allows_numbers(self) -> bool {
        !matches!(
            self,
            Sensitivity::Path | Sensitivity::Group | Sensitivity::GroupOfUser | Sensitivity::Secret
        )
    }

    /// Whether a map under such a name is judged by its fields.
    pub(super) fn is_group(self) -> bool {
        matches!(self, Sensitivity::Group | Sensitivity::GroupOfUser | Sensitivity::Setting)
    }

    /// The sensitivity of a field, an entry or a variant of this name.
    pub(super) fn of_part(self, name: &str) -> Sensitivity {
        let split = Words::of(name);
        let words = split.list();
        let part = as_group(classify_words(&words, &split.joined), &words);
        if !self.is_group() || !matches!(part, Sensitivity::Plain | Sensitivity::Key | Sensitivity::Identity)
        {
            return self.nest(part);
        }
        let last = words.last().copied().unwrap_or("");
        let is = |list: &[&str]| list.contains(&last);
        let lists = [SHOWN_IN_GROUPS, PROPERTY_SUFFIXES, PATH_SUFFIXES, MEASURE_SUFFIXES, ADDRESS_SUFFIXES];
        let is_user = is(USERS);
        let is_setting = !is_user && last != "name" && lists.into_iter().any(is);
        let is_shown_user = self == Sensitivity::GroupOfUser && (is_user || *words == ["client", "id"]);
        if is_setting || is_shown_user { Sensitivity::Setting } else { self }
    }
}

/// Whether a text only says that something is set, unset, or already masked. That a password is
/// empty can be the fault you are looking for.
fn is_uninformative(text: &str) -> bool {
    const UNINFORMATIVE: &[&str] = &[
        "",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "null",
        "none",
        "nil",
        super::MASK,
        "required",
        "optional",
        "missing",
        "empty",
        "unset",
        "set",
        "not set",
        "redacted",
        "unchanged",
        "hidden",
        "masked",
        "disabled",
        "enabled",
        "always",
        "never",
        "permissive",
        "expired",
        "invalid",
    ];
    const LONGEST: usize = 10;
    // `[redacted]`, `(unchanged)`
    let text = text.trim_matches(|c: char| c.is_whitespace() || "()[]<>".contains(c));
    text.len() <= LONGEST && UNINFORMATIVE.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a text is a number, a duration, a size or a timestamp: `30`, `1h 30m`,
/// `2024-01-01T00:00:00Z`.
fn is_measure(text: &str) -> bool {
    // `4096-max`
    let (number, word) = text.split_once('-').unwrap_or((text, ""));
    let is_qualified = !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && (1..=8).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase());
    is_qualified || is_timed(text)
}

fn is_timed(text: &str) -> bool {
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

/// Classifies the name of a field, a variable or a flag.
pub(super) fn classify(name: &str) -> Sensitivity {
    // Most of what looks like a name in text has one letter.
    if name.len() < 2 {
        return Sensitivity::Plain;
    }
    let split = Words::of(name);
    classify_words(&split.list(), &split.joined)
}

/// Classifies the name of a parameter in a URL's query.
pub(super) fn classify_parameter(name: &str) -> Sensitivity {
    let split = Words::of(name);
    let words = split.list();
    let is_query_secret = words.last().is_some_and(|last| QUERY_PARAMETERS.contains(last));
    if is_query_secret { Sensitivity::Secret } else { classify_words(&words, &split.joined) }
}

/// Whether a type or a variant of this name holds a secret. The last word decides: a `DbPassword`
/// is a password; a `PasswordPolicy` or an `AuthConfig` is not, and its fields are classified by
/// their own names.
pub(super) fn is_secret_type(name: &str) -> bool {
    let split = Words::of(name);
    let all = split.list();
    let mut words = &*all;
    while words.len() > 1 && words.last().is_some_and(|last| TYPE_SUFFIXES.contains(last)) {
        words = &words[..words.len() - 1];
    }
    let noun = &words[words.len().saturating_sub(2)..];
    is_pair(noun) || words.last().is_some_and(|last| is_word(last))
}

/// Whether this is the name of a type that holds a secret, or of a function that takes one.
pub(super) fn is_secret_call(name: &str) -> bool {
    is_secret_type(name) || matches!(classify(name), Sensitivity::Secret)
}

/// Whether two words of a text name a secret together, as in `API key`.
pub(super) fn is_secret_phrase(first: &str, last: &str) -> bool {
    // No word of such a pair is longer.
    const LONGEST: usize = 16;
    // `radius-server key`
    let first = first.rsplit(['-', '_']).next().unwrap_or("");
    first.len() <= LONGEST && last.len() <= LONGEST && is_pair(&[&*lower(first), &*lower(last)])
}

fn lower(word: &str) -> Cow<'_, str> {
    let is_lower = !word.bytes().any(|b| b.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(word) } else { Cow::Owned(word.to_ascii_lowercase()) }
}

/// With which letters the phrases of ASCII end.
const LAST_BYTES: &[u8; 5] = b"einou";

/// Whether several words of a text name a secret together in another language: `mot de passe`.
pub(super) fn is_foreign_phrase(before: &str, last: &str) -> bool {
    // The shortest last word of a phrase is `khau`. To split each word of a text would take longer.
    let can_end = |byte: u8| !byte.is_ascii() || has(LAST_BYTES, byte.to_ascii_lowercase());
    if last.len() < 4 || !last.bytes().last().is_some_and(can_end) {
        return false;
    }
    let last = Words::of(last).joined;
    let can_be = !last.is_empty() && FOREIGN_PHRASES.iter().any(|known| known.ends_with(&*last));
    can_be && {
        let joined = Words::of(before).joined + &*last;
        FOREIGN_PHRASES.iter().any(|known| joined.ends_with(known))
    }
}

/// Whether a name is that of a password in the narrow sense: what a program asks a person for.
pub(super) fn is_password(name: &str) -> bool {
    classify(name) == Sensitivity::Secret
        && Words::of(name).list().last().is_some_and(|word| word.starts_with("pass") || *word == "by")
}

/// Whether a name in the plural, such as `tokens`, can stand for a number of secrets.
pub(super) fn is_plural(name: &str) -> bool {
    // To split each name of a text would take longer.
    if !name.bytes().rev().find(u8::is_ascii_alphabetic).is_some_and(|last| last.eq_ignore_ascii_case(&b's'))
    {
        return false;
    }
    let split = Words::of(name);
    split.list().last().is_some_and(|last| last.ends_with('s') && !matches!(*last, "pass" | "sas"))
}

/// Whether a name is one of those that other things have as well: passes of a test, pins of a chip.
pub(super) fn is_pass_or_pin(name: &str) -> bool {
    ["pass", "pin"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// Whether a name is that of an HTTP header whose value is secret to the end of its line.
pub(super) fn is_header(name: &str) -> bool {
    const NOUNS: [&str; 2] = ["authorization", "cookie"];
    let bare = name.trim_end_matches(|c: char| !c.is_alphabetic());
    let ends_with = |noun: &str| {
        let start = bare.len().checked_sub(noun.len());
        start.and_then(|start| bare.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(noun))
    };
    // To split each name of a text would take longer.
    NOUNS.into_iter().any(ends_with) && Words::of(name).list().last().is_some_and(|last| NOUNS.contains(last))
}

fn classify_words(words: &[&str], joined: &str) -> Sensitivity {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return Sensitivity::Plain };
    if let Some(is_secret) = hand::is_secret(words, joined) {
        return if is_secret { Sensitivity::Secret } else { Sensitivity::Plain };
    }
    if !is_secret(words, joined) {
        let kind = words.len().checked_sub(2).map(|before| words[before]);
        let is_key = KEY_NAMES.contains(last)
            || (last.len() > 3 && last.ends_with("key") && !NO_KEYS.contains(last))
            || (KEY_NOUNS.contains(last)
                && kind.is_some_and(|kind| kind != "is" && !KINDS_OF_HARMLESS_KEYS.has(kind)));
        let is_identity = IDENTITIES.contains(last) || *words == ["code"];
        // A certificate is in a file that has a name with a period.
        let is_role_or_file = ENDS_OF_KEYS.iter().any(|end| words.ends_with(end));
        if is_key || is_role_or_file {
            Sensitivity::Key
        } else if is_identity {
            Sensitivity::Identity
        } else {
            Sensitivity::Plain
        }
    } else if words.len() == 1 {
        Sensitivity::Secret
    } else if MEASURE_SUFFIXES.contains(last) || (MEASURE_PREFIXES.contains(first) && last.ends_with('s')) {
        Sensitivity::Measure
    } else if PATH_SUFFIXES.contains(last) {
        Sensitivity::Path
    } else if PROPERTY_SUFFIXES.contains(last) || is_address(words, last) {
        Sensitivity::Plain
    } else {
        Sensitivity::Secret
    }
}

fn is_secret(words: &[&str], joined: &str) -> bool {
    words.iter().any(|word| is_known_word(word))
        || words.windows(2).any(is_pair)
        || words.last().is_some_and(|last| *last == "oauth")
        // What a word contains, all of them together do.
        || (contains_stem(joined) && (has_stem(joined) || words.iter().any(|word| has_stem(word))))
}

/// What `auth` and `credentials` are if they hold a map.
fn as_group(sensitivity: Sensitivity, words: &[&str]) -> Sensitivity {
    let Some(last) = words.last().copied() else { return sensitivity };
    match sensitivity {
        Sensitivity::Secret if GROUPS_OF_USERS.contains(&last) => Sensitivity::GroupOfUser,
        Sensitivity::Secret if GROUPS.contains(&last) => Sensitivity::Group,
        _ => sensitivity,
    }
}

fn is_address(words: &[&str], last: &str) -> bool {
    let rest = &words[..words.len() - 1];
    let only_addressable =
        || rest.iter().filter(|word| is_word(word)).all(|word| PUBLIC_ADDRESSES.contains(word));
    ADDRESS_SUFFIXES.contains(&last) && only_addressable() && !is_pair(&words[words.len() - 2..])
}

fn is_word(word: &str) -> bool {
    is_known_word(word) || has_stem(word)
}

fn is_known_word(word: &str) -> bool {
    OUR_WORDS.has(word)
        || WORDS_OF_OTHERS.has(word)
        || is_token_word(word)
        || is_joined(word)
        || is_joined_key(word)
}

/// `rootpw`, `wpapsk`, `dbpass`, but not `compass`.
fn is_joined(word: &str) -> bool {
    JOINED_SUFFIXES.iter().any(|suffix| word.ends_with(suffix) && word.len() > suffix.len() + 1)
        && !NOT_JOINED.contains(&word)
}

/// `token` and `authtoken`, but not `tokenizer`.
fn is_token_word(word: &str) -> bool {
    word.ends_with("token") || word.ends_with("tokens")
}

static OUR_WORDS: Set = Set::of(WORDS);
static WORDS_OF_OTHERS: Set = Set::of(FOREIGN_WORDS);
static OUR_STEMS: Set = Set::of(STEMS);
static STEMS_OF_OTHERS: Set = Set::of(FOREIGN_STEMS);
static KINDS_OF_KEYS: Set = Set::of(KEY_KINDS);
static KINDS_OF_HARMLESS_KEYS: Set = Set::of(HARMLESS_KEYS);

fn contains_stem(word: &str) -> bool {
    static BEGINNINGS: Beginnings = Beginnings::of(&[STEMS, FOREIGN_STEMS]);
    BEGINNINGS.any_in(word) && (OUR_STEMS.is_in(word) || STEMS_OF_OTHERS.is_in(word))
}

fn has_stem(word: &str) -> bool {
    let is_in = |exceptions: &[&str]| exceptions.iter().any(|exception| word.contains(exception));
    (OUR_STEMS.is_in(word) && !is_in(STEM_EXCEPTIONS))
        || (STEMS_OF_OTHERS.is_in(word) && !is_in(FOREIGN_EXCEPTIONS))
}

/// `apikey`, `sslkey`, and any key of Ceph: oslo.utils lists `cephadminkey`, `cephmonkey` and more.
fn is_joined_key(word: &str) -> bool {
    let key = word.strip_suffix('s').unwrap_or(word).strip_suffix("key");
    key.filter(|of| of.len() > 1)
        .is_some_and(|of| of.starts_with("ceph") || KEY_KINDS.iter().any(|kind| of.ends_with(kind)))
}

fn is_pair(pair: &[&str]) -> bool {
    static PAIRS: Index = by_first_byte(&firsts::<_, { WORD_PAIRS.len() }>(WORD_PAIRS));
    let &[first, last] = pair else { return false };
    let key = matches!(last, "key" | "keys") && KINDS_OF_KEYS.has(first);
    let pairs = first.as_bytes().first().map_or(&[][..], |&byte| beginning(WORD_PAIRS, &PAIRS, byte));
    key || pairs.contains(&(first, last))
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
             opinion shipping spin dashboard session auth_url auth_type auth_strategy token_url \
             token_endpoint token_type cookie_name cookie_domain secret_name credentials_provider \
             password_policy signature assault basalt hook url key_path keyspace 12 ___ schluesselbund \
             parole claves passord_policy compass multipass token_bucket secret_store auth_manager",
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
            (Sensitivity::Identity, "Shop7Admin", true),
            (Sensitivity::Identity, "kQ7pZx20LmWd", false),
            (Sensitivity::Identity, "Winter2024!", false),
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
    fn each_phrase_ends_as_is_asked_first() {
        for phrase in FOREIGN_PHRASES {
            let last = phrase.bytes().last().unwrap();
            assert!(!last.is_ascii() || LAST_BYTES.contains(&last), "{phrase}");
        }
        assert!(is_foreign_phrase("Mot de ", "Passe") && is_foreign_phrase("palavra-", "passe"));
    }

    #[test]
    fn the_end_of_a_long_name_decides() {
        let long = format!("{}é_password", "x".repeat(1 << 20));
        assert_eq!(classify(&long), Sensitivity::Secret);
    }
}
