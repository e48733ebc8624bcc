//! Masks command lines, and the commands for a shell in them. `judge` says what is secret; this
//! masks it, and the secrets in the content of the rest.

use std::borrow::Cow;

use super::judge::{Judge, Judgement};
use super::{MASK, values};

/// Masks the secrets of a command line. The first argument is the program.
pub fn arguments(args: &[String]) -> Vec<String> {
    let mut judge = Judge::default();
    // A process that sets its title has all of it in one argument.
    if let [title] = args
        && title.contains(' ')
    {
        return vec![script(title)];
    }
    args.iter().map(|arg| masked(arg, &judge.judge(arg)).into_owned()).collect()
}

/// Masks an argument as judged.
fn masked<'a>(arg: &'a str, judgement: &Judgement) -> Cow<'a, str> {
    match judgement {
        Judgement::Text => values::text(arg),
        Judgement::Shown(start) => match values::text(&arg[*start..]) {
            Cow::Borrowed(_) => Cow::Borrowed(arg),
            Cow::Owned(rest) => Cow::Owned(format!("{}{rest}", &arg[..*start])),
        },
        Judgement::Secret(span) if *span == (0..arg.len()) => Cow::Borrowed(MASK),
        Judgement::Secret(span) => Cow::Owned(format!("{}{MASK}{}", &arg[..span.start], &arg[span.end..])),
        Judgement::Script => Cow::Owned(script(arg)),
    }
}

/// Masks a command for a shell: first as text, then word by word as arguments.
fn script(line: &str) -> String {
    let text = values::text(line);
    let mut judge = Judge::default();
    let mut shown = String::with_capacity(text.len());
    let (mut quote, mut depth) = (None, 0_usize);
    let ends_word = |c: char| {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            // `$(command)`
            None if c == '(' => depth += 1,
            None if c == ')' => depth = depth.saturating_sub(1),
            _ => (),
        }
        quote.is_none() && depth == 0 && c.is_whitespace()
    };
    for part in text.split_inclusive(ends_word) {
        let word = part.trim_end();
        if !word.is_empty() {
            shown.push_str(&masked(word, &judge.judge(word)));
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
