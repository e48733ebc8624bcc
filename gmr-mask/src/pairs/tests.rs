//! Pairs in text, by the forms they have.

use crate::text;

/// Checks pairs of given and expected text, and that masking twice changes nothing.
fn check(cases: &[(&str, &str)]) {
    for (given, expected) in cases {
        assert_eq!(text(given), *expected, "{given}");
        assert_eq!(text(expected), *expected, "masked twice: {given}");
    }
}

#[test]
fn keys_decide_whether_values_are_masked() {
    check(&[
        ("host=db password=hunter2", "host=db password=***"),
        ("password=hunter2 host=db", "password=*** host=db"),
        ("host = db password = 'a b' port=1", "host = db password = '***' port=1"),
        ("Server=x;Pwd=y;Database=z", "Server=x;Pwd=***;Database=z"),
        ("Server=x;Pwd=y;", "Server=x;Pwd=***;"),
        ("EndpointName=x;SharedAccessKey=y", "EndpointName=x;SharedAccessKey=***"),
        (r#"{"user": "joe", "password": "a\"b", "x": 1}"#, r#"{"user": "joe", "password": "***", "x": 1}"#),
        (r#"{"user":"joe","pin":1234,"x":1}"#, r#"{"user":"joe","pin":***,"x":1}"#),
        (r#"{"tokens":["a","b"],"x":1}"#, r#"{"tokens":***,"x":1}"#),
        (r#"{\"password\": \"a b\", \"x\": 1}"#, r#"{\"password\": \"***\", \"x\": 1}"#),
        (r#"Config { token: Some("a b"), x: 1 }"#, "Config { token: ***, x: 1 }"),
        (r#"Config { token: Token { a: "a b" }, x: 1 }"#, "Config { token: ***, x: 1 }"),
        (r#"x: Password("a b"), y"#, r#"x: Password("***"), y"#),
        ("<user>a</user><password>b c</password>", "<user>a</user><password>***</password>"),
        ("ran mysql --password hunter2 -h db", "ran mysql --password *** -h db"),
        ("ran mysql --password=hunter2 -h db", "ran mysql --password=*** -h db"),
        ("ALTER USER joe PASSWORD 'a b' LOGIN", "ALTER USER joe PASSWORD '***' LOGIN"),
        ("my API key: abc", "my API key: ***"),
        ("'password' => 'a b',", "'password' => '***',"),
        ("users[password]=a", "users[password]=***"),
        ("x = pass:hunter2", "x = pass:***"),
        ("passwords[0]=a, passwords[1]=b, x[0]=c", "passwords[0]=***, passwords[1]=***, x[0]=c"),
        (r#"[("password", "a b"), ("x", "y")]"#, r#"[("password", "***"), ("x", "y")]"#),
        (r#""mysql" "--password" "a b" "-v""#, r#""mysql" "--password" "***" "-v""#),
        ("password -> a, x -> b", "password -> ***"),
        (r#"{"name":"password","value":"a b","x":1}"#, r#"{"name":"password","value":"***","x":1}"#),
        ("<password type='x'>a b</password>", "<password ***</password>"),
        ("<add key=\"Password\" value=\"a b\"/>", "<add key=\"Password\" value=\"***\"/>"),
        (
            "- name: DB_PASS\n  value: a b\n- name: X\n  value: c",
            "- name: DB_PASS\n  value: ***\n- name: X\n  value: c",
        ),
    ]);
}

#[test]
fn secrets_of_several_words_or_lines() {
    check(&[
        ("password: correct horse battery\nuser: joe", "password: ***\nuser: joe"),
        ("export PASSWORD=a\\ b", "export PASSWORD=***"),
        (
            "key: |\n  a\nprivate_key: |\n  abc\n\n  def\nuser: joe",
            "key: |\n  a\nprivate_key: ***\nuser: joe",
        ),
        ("a:\n  passwords:\n  - b\n  - c\n  d: e", "a:\n  passwords:***\n  d: e"),
        (
            "{\n  \"secrets\": {\n    \"a\": \"b\"\n  },\n  \"x\": 1\n}",
            "{\n  \"secrets\": ***,\n  \"x\": 1\n}",
        ),
        ("password = \"\"\"a b\nc\"\"\"\nx = 1", "password = ***\nx = 1"),
    ]);
}

#[test]
fn headers_are_secret_to_the_end_of_their_line() {
    check(&[
        ("GET /\nAuthorization: Bearer a b\nHost: c", "GET /\nAuthorization: ***\nHost: c"),
        ("got Cookie: a=b; c=d\nx", "got Cookie: ***\nx"),
        ("curl -H 'Authorization: Basic a' -v", "curl -H 'Authorization: ***' -v"),
        (r#"{"authorization": "Basic a b", "x": "y"}"#, r#"{"authorization": "***", "x": "y"}"#),
    ]);
}

#[test]
fn query_parameters_are_masked() {
    check(&[
        ("GET https://h/p?page=2&token=a;b&q=c#d", "GET https://h/p?page=2&token=***&q=c#d"),
        ("https://h/?sig=a%2Fb&se=1", "https://h/?sig=***&se=1"),
        ("\"https://h/?key=a\", x", "\"https://h/?key=***\", x"),
    ]);
}

#[test]
fn other_text_is_shown() {
    for given in [
        "",
        "use_password=true",
        "password: null, x: 1",
        "password=",
        "max_tokens=100 token_ttl = 15m",
        "password_file=/run/secrets/db",
        "author: joe",
        "Token::new(1)",
        "https://token.example.org/x",
        "the password is wrong",
        "primary_key=id",
        "cannot open key.pem: no such file",
        "12:30:45 key=5",
        "the token expired: 3 s ago",
        "name: joe, value: 3",
        "unknown field `x`, expected one of `password`, `port`",
        "Vec<Option<u8>>, x<y",
        "cookies accepted",
    ] {
        assert_eq!(text(given), given);
    }
}
