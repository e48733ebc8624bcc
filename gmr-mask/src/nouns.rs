//! More words by which `keys` classifies names: keys of other kinds, groups of settings, and ends
//! of words. It only holds data.

/// Words that make the word `key` after them harmless, whatever its value looks like: such a key
/// finds something. Other keys are shown if their value does not look random.
pub(super) const HARMLESS_KEYS: &[&str] = &[
    "aggregate",
    "arrow",
    "attribute",
    "by",
    "bucket",
    "cache",
    "candidate",
    "clustering",
    "column",
    "composite",
    "dedup",
    "dedupe",
    "deduplication",
    "document",
    "event",
    "extra",
    "field",
    "foreign",
    "function",
    "group",
    "hash",
    "hot",
    "i18n",
    "id",
    "idempotency",
    "index",
    "item",
    "join",
    "json",
    "label",
    "lookup",
    "map",
    "memo",
    "message",
    "metric",
    "natural",
    "node",
    "object",
    "order",
    "parent",
    "partition",
    "primary",
    "public",
    "pub",
    "query",
    "range",
    "record",
    "registry",
    "resource",
    "route",
    "routing",
    "row",
    "s3",
    "shard",
    "shortcut",
    "sort",
    "state",
    "surrogate",
    "tag",
    "topic",
    "translation",
    "trace",
    "unique",
    "verification",
    "verify",
    "verifying",
];

/// Other last words of names whose value is shown unless it looks random.
pub(super) const KEY_NOUNS: &[&str] = &["key", "private", "signature", "serial", "verifier", "webhook"];

/// Words that are such names alone.
pub(super) const KEY_NAMES: &[&str] = &["authentication", "sid"];

/// Ends of other names whose value is shown unless it looks random.
pub(super) const ENDS_OF_KEYS: &[&[&str]] =
    &[&["role", "id"], &["cert", "file"], &["certificate", "file"], &["certificate", "path"]];

/// Last words of names that say who somebody is. What is random there is the number of a key.
pub(super) const IDENTITIES: &[&str] = &["user", "userid", "username"];

/// Words that end in `key` and are no keys, or harmless ones.
pub(super) const NO_KEYS: &[&str] = &[
    "cachekey",
    "donkey",
    "foreignkey",
    "hockey",
    "hotkey",
    "jockey",
    "keykey",
    "malarkey",
    "monkey",
    "primarykey",
    "pubkey",
    "publickey",
    "routingkey",
    "sortkey",
    "turkey",
    "whiskey",
];

/// What a group of settings about secrets has that is not secret, by the last word of the name.
pub(super) const SHOWN_IN_GROUPS: &[&str] = &[
    "backends", "client", "count", "created", "engine", "expires", "issued", "mount", "origin", "path",
    "paths", "profile", "roles", "updated",
];

/// The words whose map is a group of settings. What is below `passwords` or `api_keys` is all
/// secret, and its keys are the names of the owners.
pub(super) const GROUPS: &[&str] = &[
    "auth",
    "authorization",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "creds",
    "jwt",
    "oauth",
    "oauth2",
    "secret",
    "secrets",
    "token",
    "tokens",
];

/// The groups that also have the name of a user, which is not secret. Below `credentials`, `user`
/// can be the name of a secret's owner.
pub(super) const GROUPS_OF_USERS: &[&str] = &["auth", "authorization", "oauth", "oauth2"];

/// Names of a user in such a group.
pub(super) const USERS: &[&str] = &["account", "email", "login", "user", "username"];

/// Ends of words that make them secret: `rootpw`, `wpapsk`.
pub(super) const JOINED_SUFFIXES: &[&str] = &["pass", "passw", "psk", "pw", "pwd"];

/// Words with such an end that name no secret.
pub(super) const NOT_JOINED: &[&str] = &[
    "backpass",
    "bandpass",
    "bypass",
    "compass",
    "encompass",
    "highpass",
    "lowpass",
    "multipass",
    "onepass",
    "overpass",
    "prepass",
    "renderpass",
    "surpass",
    "trespass",
    "twopass",
    "underpass",
];
