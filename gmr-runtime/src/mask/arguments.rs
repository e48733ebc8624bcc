//! Judging command lines. What an argument means is up to the program, so names are judged where there are
//! some, and short flags where the program is one whose flags are known. It knows no more of a program than
//! its arguments.

use std::borrow::Cow;

use super::keys::{self, Verdict};
use super::{MASK, values};

/// A command line, the program first, its secrets masked.
pub(crate) fn arguments(args: &[String]) -> Vec<String> {
    let mut line = Line::default();
    args.iter().map(|arg| line.argument(arg).into_owned()).collect()
}

/// The short flags that take a password, by program.
const PASSWORD_FLAGS: &[(&str, &str)] = &[
    ("7z", "-p"),
    ("7za", "-p"),
    ("htpasswd", "-b"),
    ("ldapmodify", "-w"),
    ("ldapsearch", "-w"),
    ("mariadb", "-p"),
    ("mariadb-dump", "-p"),
    ("mongo", "-p"),
    ("mongodump", "-p"),
    ("mongosh", "-p"),
    ("mysql", "-p"),
    ("mysqladmin", "-p"),
    ("mysqldump", "-p"),
    ("redis-cli", "-a"),
    ("sqlcmd", "-P"),
    ("sshpass", "-p"),
    ("unzip", "-P"),
    ("zip", "-P"),
];

/// What the flag before tells about an argument.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// Nothing, or there was none.
    #[default]
    None,
    /// What its name tells.
    Named(Verdict),
    /// `-p`: a password in one program, a port or a path in another.
    Ambiguous,
    /// A user, and a password after a colon if there is one.
    User,
    /// A line for a shell.
    Script,
}

/// A command line that is being read.
#[derive(Debug, Default)]
struct Line {
    /// The short flag that takes a password, since a program that has one was named.
    password_flag: Option<&'static str>,
    flag: Flag,
}

impl Line {
    /// What is shown of the next argument.
    fn argument<'a>(&mut self, arg: &'a str) -> Cow<'a, str> {
        let flag = std::mem::take(&mut self.flag);
        // After a flag that takes nothing, as `--use-token` may be, there can be another one.
        let is_value = !(arg.starts_with("--") && arg.len() > 2);
        match flag {
            Flag::Named(verdict) if is_value => return judged(arg, verdict.shows(arg)),
            Flag::Ambiguous if is_value => return judged(arg, is_port_or_path(arg)),
            Flag::User if is_value => return user(arg),
            Flag::Script => return Cow::Owned(script(arg)),
            _ => (),
        }
        if let Some(flag) = self.password_flag
            && arg.starts_with(flag)
            && arg.len() > flag.len()
        {
            return Cow::Owned(format!("{flag}{MASK}"));
        }
        if let Some(rest) = arg.strip_prefix("-u").filter(|rest| rest.contains(':') && !rest.contains("://"))
        {
            return Cow::Owned(format!("-u{}", user(rest)));
        }
        if let Some((key, value)) = arg.split_once('=').filter(|(key, _)| is_name(key)) {
            return assignment(arg, key, value);
        }
        self.learn(arg);
        values::text(arg)
    }

    /// Takes from an argument what it tells about those that follow.
    fn learn(&mut self, arg: &str) {
        let program = arg.rsplit(['/', '\\']).next().unwrap_or("");
        if let Some((_, flag)) = PASSWORD_FLAGS.iter().find(|(name, _)| *name == program) {
            self.password_flag = Some(flag);
        }
        self.flag = match arg {
            _ if self.password_flag == Some(arg) => Flag::Named(Verdict::Secret),
            "-c" => Flag::Script,
            "-p" => Flag::Ambiguous,
            "-u" | "-U" | "--user" | "--proxy-user" => Flag::User,
            _ if arg.starts_with('-') && is_name(arg) => match keys::judge(arg) {
                Verdict::Plain => Flag::None,
                verdict => Flag::Named(verdict),
            },
            _ => Flag::None,
        };
    }
}

/// Whether this is all letters, digits and what joins them; a sentence, an address or a script is not.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "-_.[]:".contains(c))
}

fn judged(arg: &str, shown: bool) -> Cow<'_, str> {
    if shown { values::text(arg) } else { Cow::Borrowed(MASK) }
}

/// `key=value`, be it a variable, a flag with its value, or what follows `--set`.
fn assignment<'a>(arg: &'a str, key: &str, value: &str) -> Cow<'a, str> {
    let shown = match key {
        "--user" | "--proxy-user" => user(value),
        _ => match variable(key, value) {
            Verdict::Plain => return values::text(arg),
            verdict => judged(value, verdict.shows(value)),
        },
    };
    Cow::Owned(format!("{key}={shown}"))
}

/// The verdict on an environment variable, or on whatever else is set to a value by its name.
fn variable(key: &str, value: &str) -> Verdict {
    // The shell's working directories share their name with passwords.
    if matches!(key, "PWD" | "OLDPWD") && value.starts_with('/') {
        return Verdict::Path;
    }
    // Of `-Dpin=1`, the flag is no part of the name.
    let is_short = key.starts_with('-') && !key.starts_with("--");
    let name =
        if is_short { key.trim_start_matches('-').trim_start_matches(char::is_uppercase) } else { key };
    match keys::judge(key) {
        Verdict::Plain => keys::judge(name),
        verdict => verdict,
    }
}

/// `user:password`, as curl has it. `1000:1000` is a user and a group; `user%password` is what Samba has.
fn user(arg: &str) -> Cow<'_, str> {
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let are_ids = |user, group| is_id(user) && is_id(group);
    match arg.split_once([':', '%']) {
        Some((user, password)) if !password.is_empty() && !are_ids(user, password) => {
            Cow::Owned(format!("{}{MASK}", &arg[..=user.len()]))
        }
        _ => values::text(arg),
    }
}

/// Whether what follows a `-p` of which nothing is known can only be a port, a process or a path.
fn is_port_or_path(arg: &str) -> bool {
    let is_port = arg.bytes().all(|b| b.is_ascii_digit() || b".:-,".contains(&b)) && arg.len() > 1;
    let bare = arg.trim_end_matches("/tcp").trim_end_matches("/udp");
    is_port
        || bare.bytes().all(|b| b.is_ascii_digit() || b == b':')
        || arg.starts_with(['/', '-'])
        || arg.starts_with("./")
}

/// A line for a shell, word by word, after what can be judged without the words has been seen to.
fn script(line: &str) -> String {
    let masked = values::text(line);
    let mut words = Line::default();
    let mut shown = String::with_capacity(masked.len());
    let mut quote = None;
    let ends_word = |c: char| {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => (),
        }
        quote.is_none() && c.is_whitespace()
    };
    for part in masked.split_inclusive(ends_word) {
        let word = part.trim_end();
        if !word.is_empty() {
            shown.push_str(&words.argument(word));
        }
        shown.push_str(&part[word.len()..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Given and expected, the arguments joined by `|` for the eye.
    fn check(cases: &[(&str, &str)]) {
        for (given, expected) in cases {
            let split = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(arguments(&split(given)).join("|"), *expected, "{given}");
            assert_eq!(arguments(&split(expected)).join("|"), *expected, "masked twice: {given}");
        }
    }

    #[test]
    fn named_arguments_are_judged_by_their_names() {
        check(&[
            ("app|--password=hunter2|-v", "app|--password=***|-v"),
            ("app|--password=a b=c", "app|--password=***"),
            ("app|--password|hunter2|-v", "app|--password|***|-v"),
            ("app|--password|-x", "app|--password|***"),
            ("app|-password|hunter2", "app|-password|***"),
            ("env|PASSWORD=a b|cmd", "env|PASSWORD=***|cmd"),
            ("java|-Dpin=x|-Ddb.password=y|-jar|a.jar", "java|-Dpin=***|-Ddb.password=***|-jar|a.jar"),
            ("curl|--header|Authorization: Bearer x", "curl|--header|Authorization: ***"),
            ("curl|-H|X-Api-Key: a b", "curl|-H|X-Api-Key: ***"),
            ("curl|-HX-Api-Key: a", "curl|-HX-Api-Key: ***"),
            ("curl|https://u:p@h/?token=x&y=z", "curl|https://u:***@h/?token=***&y=z"),
            ("curl|-d|{\"password\":\"x\"}", "curl|-d|{\"password\":\"***\"}"),
            ("app|postgres://u:p@h/db", "app|postgres://u:***@h/db"),
            ("app|--db=postgres://u:p@h/db", "app|--db=postgres://u:***@h/db"),
            ("helm|--set|db.password=x", "helm|--set|db.password=***"),
            ("app|host=db password=x", "app|host=db password=***"),
            ("openssl|-passin|pass:x", "openssl|-passin|pass:***"),
        ]);
    }

    #[test]
    fn short_flags_are_judged_by_their_programs() {
        check(&[
            ("curl|-u|joe:hunter2|h", "curl|-u|joe:***|h"),
            ("curl|-ujoe:hunter2", "curl|-ujoe:***"),
            ("curl|--user=joe:hunter2", "curl|--user=joe:***"),
            ("smbclient|-U|joe%hunter2", "smbclient|-U|joe%***"),
            ("/usr/bin/mysql|-phunter2|db", "/usr/bin/mysql|-p***|db"),
            ("sudo|mysql|-phunter2", "sudo|mysql|-p***"),
            ("sshpass|-p|1234|ssh|h", "sshpass|-p|***|ssh|h"),
            ("redis-cli|-a|x", "redis-cli|-a|***"),
            ("app|-p|hunter2", "app|-p|***"),
            ("sh|-c|mysql -phunter2 db", "sh|-c|mysql -p*** db"),
            ("sh|-c|mysql -p'a b' db", "sh|-c|mysql -p*** db"),
            ("sh|-c|app --password  hunter2; x", "sh|-c|app --password  *** x"),
        ]);
    }

    #[test]
    fn a_variable_before_a_command_is_judged() {
        let args = ["sh", "-c", "PGPASSWORD='a b' psql -h db"].map(str::to_owned);
        assert_eq!(arguments(&args), ["sh", "-c", "PGPASSWORD=*** psql -h db"]);
    }

    #[test]
    fn what_is_no_secret_stays() {
        for given in [
            "",
            "app",
            "app|--password-file|/x",
            "app|--password-file=/x",
            "app|--use-password=true",
            "app|--use-password|--verbose",
            "app|--max-tokens|100",
            "app|--token-ttl=15m",
            "app|--author|joe",
            "ssh|-p|22|joe@h",
            "docker|run|-p|8080:80/tcp|-u|1000:1000|nginx:1.25",
            "mkdir|-p|/x",
            "psql|-U|joe",
            "env|PWD=/home/joe|cmd",
            "--|x",
            "-",
            "é|-é|--é=é",
            "grep|a = b",
        ] {
            check(&[(given, given)]);
        }
    }
}
