//! Masks command lines. The meaning of an argument depends on the program, so long flags are
//! classified by name, and short flags only for programs listed here. It knows nothing about a
//! program but its arguments.

use std::borrow::Cow;

use super::keys::{self, Sensitivity};
use super::{MASK, values};

/// Masks the secrets of a command line. The first argument is the program.
pub fn arguments(args: &[String]) -> Vec<String> {
    let mut masker = ArgumentMasker::default();
    args.iter().map(|arg| masker.argument(arg).into_owned()).collect()
}

/// Short flags that take a password, by program.
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

/// What the previous argument, a flag, says about this one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// Nothing, or it was not a flag.
    #[default]
    None,
    /// The flag's name has this sensitivity.
    Named(Sensitivity),
    /// It is `-p`: a password in some programs, a port or a path in others.
    Ambiguous,
    /// This is a user, with or without a password after a colon.
    User,
    /// This is a command for a shell.
    Script,
}

/// Masks the arguments of one command line in order.
#[derive(Debug, Default)]
struct ArgumentMasker {
    /// The short flag that takes a password, after a program that has one.
    password_flag: Option<&'static str>,
    flag: Flag,
}

impl ArgumentMasker {
    /// Masks the next argument.
    fn argument<'a>(&mut self, arg: &'a str) -> Cow<'a, str> {
        let flag = std::mem::take(&mut self.flag);
        // A flag without a value, as `--use-token` may be, can be followed by another flag.
        let is_value = !(arg.starts_with("--") && arg.len() > 2);
        match flag {
            Flag::Named(sensitivity) if is_value => return shown_or_masked(arg, sensitivity.allows(arg)),
            Flag::Ambiguous if is_value => return shown_or_masked(arg, is_port_or_path(arg)),
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
        self.note(arg);
        values::text(arg)
    }

    /// Notes what an argument says about the following ones.
    fn note(&mut self, arg: &str) {
        let program = arg.rsplit(['/', '\\']).next().unwrap_or("");
        if let Some((_, flag)) = PASSWORD_FLAGS.iter().find(|(name, _)| *name == program) {
            self.password_flag = Some(flag);
        }
        self.flag = match arg {
            _ if self.password_flag == Some(arg) => Flag::Named(Sensitivity::Secret),
            "-c" => Flag::Script,
            "-p" => Flag::Ambiguous,
            "-u" | "-U" | "--user" | "--proxy-user" => Flag::User,
            _ if arg.starts_with('-') && is_name(arg) => match keys::classify(arg) {
                Sensitivity::Plain => Flag::None,
                sensitivity => Flag::Named(sensitivity),
            },
            _ => Flag::None,
        };
    }
}

/// Whether this consists of letters, digits and the punctuation of names. Sentences, URLs and
/// scripts do not.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "-_.[]:".contains(c))
}

fn shown_or_masked(arg: &str, shown: bool) -> Cow<'_, str> {
    if shown { values::text(arg) } else { Cow::Borrowed(MASK) }
}

/// Masks `key=value`: a variable, a flag with its value, or what follows `--set`.
fn assignment<'a>(arg: &'a str, key: &str, value: &str) -> Cow<'a, str> {
    let shown = match key {
        "--user" | "--proxy-user" => user(value),
        _ => match variable(key, value) {
            Sensitivity::Plain => return values::text(arg),
            sensitivity => shown_or_masked(value, sensitivity.allows(value)),
        },
    };
    Cow::Owned(format!("{key}={shown}"))
}

/// Classifies an environment variable, or anything else that is assigned a value by name.
fn variable(key: &str, value: &str) -> Sensitivity {
    // The shell's working directories have the name of a password.
    if matches!(key, "PWD" | "OLDPWD") && value.starts_with('/') {
        return Sensitivity::Path;
    }
    // In `-Dpin=1`, the flag is not part of the name.
    let is_short = key.starts_with('-') && !key.starts_with("--");
    let name =
        if is_short { key.trim_start_matches('-').trim_start_matches(char::is_uppercase) } else { key };
    match keys::classify(key) {
        Sensitivity::Plain => keys::classify(name),
        sensitivity => sensitivity,
    }
}

/// Masks curl's `user:password` and Samba's `user%password`. `1000:1000` is a user and a group.
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

/// Whether the argument after `-p` of an unknown program can only be a port, a process or a path.
fn is_port_or_path(arg: &str) -> bool {
    let is_port = arg.bytes().all(|b| b.is_ascii_digit() || b".:-,".contains(&b)) && arg.len() > 1;
    let bare = arg.trim_end_matches("/tcp").trim_end_matches("/udp");
    is_port
        || bare.bytes().all(|b| b.is_ascii_digit() || b == b':')
        || arg.starts_with(['/', '-'])
        || arg.starts_with("./")
}

/// Masks a command for a shell: first as text, then word by word as arguments.
fn script(line: &str) -> String {
    let masked = values::text(line);
    let mut words = ArgumentMasker::default();
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

    /// Checks pairs of given and expected arguments, joined by `|`, and that masking twice changes
    /// nothing.
    fn check(cases: &[(&str, &str)]) {
        for (given, expected) in cases {
            let split = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(arguments(&split(given)).join("|"), *expected, "{given}");
            assert_eq!(arguments(&split(expected)).join("|"), *expected, "masked twice: {given}");
        }
    }

    #[test]
    fn the_names_of_long_flags_decide() {
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
    fn the_program_decides_on_short_flags() {
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
    fn a_variable_before_a_command_is_masked() {
        let args = ["sh", "-c", "PGPASSWORD='a b' psql -h db"].map(str::to_owned);
        assert_eq!(arguments(&args), ["sh", "-c", "PGPASSWORD=*** psql -h db"]);
    }

    #[test]
    fn other_arguments_are_shown() {
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
