//! For each kind of rule, secrets that it masks and what only resembles them.

use serde_json::{Value, json};

use crate::{arguments, field, text, to_value};

fn shown(value: &Value) -> Value {
    serde_json::to_value(to_value(value).unwrap()).unwrap()
}

/// Checks given and expected text.
fn check(cases: &[(&str, &str)]) {
    for (given, expected) in cases {
        assert_eq!(text(given), *expected, "{given}");
    }
}

#[test]
fn names_in_other_languages_are_known() {
    for name in [
        "Passwort",
        "schl\u{fc}ssel",
        "mot_de_passe",
        "contrase\u{f1}a",
        "has\u{142}o",
        "l\u{f6}senord",
        "\u{5bc6}\u{7801}",
        "parola",
        "senha",
        "wachtwoord",
        "rootpw",
        "wpa_psk",
        "nt_hash",
        "snmp_community",
        "kek",
        "door_code",
    ] {
        assert_eq!(field(name, "zebra"), "***", "{name}");
    }
    for name in
        ["schluesselbund", "parole", "community", "compass", "status_code", "hash", "claves", "wwwroot"]
    {
        assert_eq!(field(name, "zebra"), "zebra", "{name}");
    }
}

#[test]
fn a_key_is_shown_unless_it_looks_random() {
    for (name, value) in
        [("host_key", "Qr82kLm0x"), ("SDK_KEY", "zebra-7412-kilo"), ("wg_private", "kQ7pZx20LmWd")]
    {
        assert_eq!(field(name, value), "***", "{name}");
    }
    for (name, value) in [
        ("primary_key", "order_2_x9"),
        ("cache_key", "user:42:x1"),
        ("shard_key", "hash"),
        ("host_key", "ed25519"),
        ("sort_key", "zebra-7412-kilo"),
        ("is_private", "zebra-7412"),
    ] {
        assert_eq!(field(name, value), value, "{name}");
    }
}

#[test]
fn measures_and_properties_of_secrets_are_shown() {
    let settings = json!({
        "token_bucket": 10, "tokens_per_second": 33.5, "secret_store": "vault", "cookie_consent": "granted",
        "otp_digits": 6, "auth_manager": "x.Manager", "password": "required", "max_tokens": "4096-max",
    });
    assert_eq!(shown(&settings), settings);
    let secrets = json!({ "otp": 123_456, "token": 10, "password": "requires" });
    assert_eq!(shown(&secrets), json!({ "otp": "***", "token": "***", "password": "***" }));
}

#[test]
fn entries_that_name_others_decide() {
    for (given, expected) in [
        (json!({ "type": "Password", "value": "a" }), json!({ "type": "Password", "value": "***" })),
        (json!({ "t": "Bearer", "c": "a", "x": "b" }), json!({ "t": "Bearer", "c": "***", "x": "b" })),
        (json!([{ "key": "password", "val": "a" }]), json!([{ "key": "password", "val": "***" }])),
        (json!([["host", "h"], ["password", "a"]]), json!([["host", "h"], ["password", "***"]])),
        (json!({ "kty": "oct", "k": "a", "alg": "b" }), json!({ "kty": "oct", "k": "***", "alg": "b" })),
        (json!({ "kind": "Secret", "data": { "x": "a" } }), json!({ "kind": "Secret", "data": "***" })),
        (json!({ "ak": "a", "sk": "b" }), json!({ "ak": "a", "sk": "***" })),
        (
            json!(["-----BEGIN RSA PRIVATE KEY-----", "MIIE", "-----END RSA PRIVATE KEY-----", "x"]),
            json!(["***", "***", "***", "x"]),
        ),
    ] {
        assert_eq!(shown(&given), expected);
    }
    for given in [
        json!({ "type": "Tcp", "value": "a" }),
        json!({ "name": "joe", "value": 3 }),
        json!(["password", "user"]),
        json!({ "kind": "ConfigMap", "data": { "x": "a" } }),
        json!({ "k": "a", "alg": "b" }),
        json!(["-----BEGIN CERTIFICATE-----", "MIIE", "-----END CERTIFICATE-----"]),
    ] {
        assert_eq!(shown(&given), given);
    }
}

#[test]
fn a_key_that_is_masked_in_part_still_names_its_value() {
    for (given, expected) in [
        (json!({ "-----BEGIN RSA PRIVATE KEY-----\nMIIE_password": "a" }), json!({ "***": "***" })),
        (json!({ "ghp_0123456789ab": "a" }), json!({ "***": "a" })),
    ] {
        assert_eq!(shown(&given), expected);
    }
}

#[test]
fn who_somebody_is_is_shown_unless_it_is_random() {
    for (name, value) in [
        ("user", "kQ7pZx20LmWd"),
        ("code", "Plnt5080AV29"),
        ("role_id", "walnut5018hazel"),
        ("cert_file", "a1b2c3d4"),
    ] {
        assert_eq!(field(name, value), "***", "{name}");
    }
    for (name, value) in [
        ("user", "svc-orders-01"),
        ("username", "walnut5018hazel"),
        ("code", "ORA-00942"),
        ("role_id", "52175300-cf89-cae8-df6a-e600d438d7ac"),
        ("cert_file", "server2024.pem"),
        ("ssh_auth_sock", "/tmp/ssh/agent.42"),
    ] {
        assert_eq!(field(name, value), value, "{name}");
    }
}

#[test]
fn source_code_and_its_values_are_told_apart() {
    check(&[
        ("const API_KEY: &str = \"zebra\";", "const API_KEY: &str = \"***\";"),
        ("{:password, \"zebra\"}", "{:password, \"***\"}"),
        ("{password, <<\"zebra\">>}", "{password, <<\"***\">>}"),
        ("<input type=\"password\" value=\"zebra\">", "<input type=\"password\" value=\"***\">"),
        ("your password is zebra7412kilo", "your password is ***"),
        ("radius-server key zebra7412kilo", "radius-server key ***"),
    ]);
    for given in [
        "thread 'x' panicked at src/auth.rs:42:13",
        "let token = parse_token(input)?;",
        "self.password_hash = hash(password, &salt);",
        "fn login(user: &str, password: &str)",
        "pub password: Secret<String>",
        "if password == confirm { login(user, password) }",
        "pins: 3, 4, 7",
        "password: (unchanged)",
        "the password is wrong",
    ] {
        assert_eq!(text(given), given);
    }
}

#[test]
fn groups_of_settings_are_judged_by_their_fields() {
    let given = json!({
        "auth": { "enabled": true, "provider": "oidc", "user": "joe", "x": "a" },
        "credentials": { "path": "/etc/x", "user": "a" },
        "secrets": { "backend": "vault", "key": { "path": ["a"] } },
        "tokens": { "a": "b" },
        "passwords": { "path": "a" },
    });
    let expected = json!({
        "auth": { "enabled": true, "provider": "oidc", "user": "joe", "x": "***" },
        "credentials": { "path": "/etc/x", "user": "***" },
        "secrets": { "backend": "vault", "key": "***" },
        "tokens": "***",
        "passwords": "***",
    });
    assert_eq!(shown(&given), expected);
}

#[test]
fn sentences_and_tables_name_their_values() {
    check(&[
        ("token Qr82kLm0 has expired", "token *** has expired"),
        ("API key Qr82kLm0 is invalid", "API key *** is invalid"),
        ("password\tzebra", "password\t***"),
        ("| password | zebra |", "| password | *** |"),
        ("setenv TOKEN zebra", "setenv TOKEN ***"),
        ("requirepass zebra", "requirepass ***"),
        ("**password**: zebra", "**password**: ***"),
        ("mot de passe : zebra", "mot de passe : ***"),
        ("\u{5bc6}\u{7801}\u{ff1a}zebra", "\u{5bc6}\u{7801}\u{ff1a}***"),
        ("crypto isakmp key kQ7pZx20LmWd address 0.0.0.0", "crypto isakmp key *** address 0.0.0.0"),
    ]);
    for given in [
        "the token has expired",
        "invalid token at line 3",
        "secret not found: prod/db",
        "tokens: 42",
        "pass: 3, fail: 0",
        "pin: 7 of 40 used",
        "key not found: user:42",
        "password authentication failed",
        "INFO auth: session opened",
        "assert(password == other)",
        "login(password: password)",
        "password policy: strict",
    ] {
        assert_eq!(text(given), given);
    }
}

#[test]
fn files_of_other_programs_are_known() {
    check(&[
        ("kind: Secret\ndata:\n  x: zebra\ntype: Opaque", "kind: Secret\ndata:***\ntype: Opaque"),
        ("Private-Lines: 1\nzebra\nPrivate-MAC: 00", "Private-Lines: 1\n***Private-MAC: 00"),
    ]);
    for given in ["kind: ConfigMap\ndata:\n  x: zebra\n", "Public-Lines: 1\nzebra\n"] {
        assert_eq!(text(given), given);
    }
}

#[test]
fn elements_of_xml_are_known_by_their_names() {
    check(&[
        ("<ns:password>zebra</ns:password>", "<ns:password>***</ns:password>"),
        (
            "<p><![CDATA[a<b]]></p><password><![CDATA[a<b]]></password>",
            "<p><![CDATA[a<b]]></p><password>***]]></password>",
        ),
        ("<string name=\"password\">zebra</string>", "<string name=\"password\">***</string>"),
        ("<key>password</key><string>zebra</string>", "<key>password</key><string>***</string>"),
    ]);
    for given in [
        "<string name=\"host\">zebra</string>",
        "<key>host</key><string>zebra</string>",
        "<ns:host>zebra</ns:host>",
    ] {
        assert_eq!(text(given), given);
    }
}

#[test]
fn tokens_of_issuers_are_known_by_their_forms() {
    for token in [
        "xkeysib-0123456789abcdef",
        "sntrys_eyJpYXQiO",
        "NRAK-ABCDEFGHIJ0123456789",
        "dapi0123456789abcdef0123456789abcdef",
        "gsk_abcdefghij0123456789",
        "s.abcdefghij0123456789abcd",
        "sha256~abcdefghij-0123456789_abcd",
        "123456789:AAabcdefghij0123456789abcdefghijk",
        "abcdef0123abcd.atlasv1.abcdefghij0123456789",
        "acme_live_8c4jdop79q22xh1b89ub",
        "MTAqbJmaKqdLltTIr6uqpq1C.fHOF2f.zq2LVf4WUfL03GTEXqyViAQjk5W",
        "2b5b52a0f94833734f83ae7518b69c64-us12",
        "sdk-52175300-cf89-cae8-df6a-e600d438d7ac",
        "33ec56f24b1c71b106e934d263b5ba0837bbFFFFNRAL",
    ] {
        assert_eq!(text(&format!("got {token}, retrying")), "got ***, retrying", "{token}");
    }
    for given in [
        "main-4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "sha256:abcdefghij0123456789",
        "s.length",
        "dapi",
        "gsk_button_width",
        "shop-6f7c9d8b5d-x2x7z",
        "10:30:45 AM",
        "1//2",
    ] {
        assert_eq!(text(given), given);
    }
}

#[test]
fn urls_of_webhooks_are_secret_from_their_paths_on() {
    check(&[
        ("https://hooks.slack.com/services/T0/B0/Qr82kLm0Qr82", "https://hooks.slack.com/***"),
        ("https://discord.com/api/webhooks/1/Qr82kLm0Qr82x", "https://discord.com/api/webhooks/***"),
        ("nats://zebra@h:4222", "nats://***@h:4222"),
    ]);
    for given in [
        "https://h/webhook",
        "https://h/docs/webhooks/list",
        "https://hooks.example.org/",
        "ssh://zebra7412@h/x",
    ] {
        assert_eq!(text(given), given);
    }
}

#[test]
fn arguments_are_judged_by_programs_and_words() {
    let check = |given: &str, expected: &str| {
        let given: Vec<String> = given.split('|').map(str::to_owned).collect();
        assert_eq!(arguments(&given).join("|"), expected);
    };
    for (given, expected) in [
        ("mysql-8.0|-vvpzebra", "mysql-8.0|-vvp***"),
        ("curl|-sSLu|joe:zebra|h", "curl|-sSLu|joe:***|h"),
        ("redis-cli|-a|1234", "redis-cli|-a|***"),
        ("redis-cli|AUTH|Qr82kLm0", "redis-cli|AUTH|***"),
        ("rabbitmqctl|change_password|joe|zebra", "rabbitmqctl|change_password|joe|***"),
        ("sqlplus|scott/zebra@db1", "sqlplus|scott/***@db1"),
        ("vault|login|zebra", "vault|login|***"),
        ("pwsh|-Command|x -Password zebra", "pwsh|-Command|x -Password ***"),
        ("myapp --password zebra --port 1", "myapp --password *** --port 1"),
    ] {
        check(given, expected);
    }
    for given in [
        "cp|-p|a.txt|b",
        "mkdir|-p|x/y",
        "kubectl|describe|secret|db-2|-n|x",
        "vim|/etc/passwd",
        "grep|-rn|password|/etc",
        "curl|-o|token.json|https://h/x",
        "cargo|test|--package|auth|--|token::parse",
        "ssh|-p|22|h",
    ] {
        check(given, given);
    }
}
