//! Judges the arguments of a command line, one after the other. The meaning of an argument depends
//! on the program, so long flags are classified by name, and short flags by what `programs` knows.
//! It knows nothing about a program but its arguments, and masks nothing itself.

use std::ops::Range;

use super::index::has;
use super::keys::{self, Sensitivity};
use super::looks;
use super::programs::{self, ORACLE, OTHER_P, Program};

/// What the arguments before say about this one.
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
    /// A word that names a secret: one of the next arguments is that, if it looks like one.
    Word(u8),
    /// So many arguments after this one, one is secret.
    Counted(u8),
}

/// What is to be done with an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is text like any other.
    Text,
    /// It is shown from here on, with the secrets in it masked, whatever its name looks like.
    Shown(usize),
    /// This part of it is secret.
    Secret(Range<usize>),
    /// It is a command for a shell.
    Script,
}

/// Judges the arguments of one command line in order.
#[derive(Debug, Default)]
pub(super) struct Judge {
    program: Option<&'static Program>,
    is_oracle: bool,
    /// Whether it is known that `-p` is no password.
    has_other_p: bool,
    /// Whether an argument has been judged.
    has_begun: bool,
    flag: Flag,
}

impl Judge {
    /// Judges the next argument.
    pub(super) fn judge(&mut self, arg: &str) -> Judgement {
        let flag = std::mem::take(&mut self.flag);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        // A flag without a value, as `--use-token` may be, can be followed by another flag.
        let is_value = !(arg.starts_with("--") && arg.len() > 2) || looks::is_random(&arg[2..]);
        let shown = |shown: bool| if shown { Judgement::Shown(0) } else { Judgement::Secret(0..arg.len()) };
        match flag {
            Flag::Named(sensitivity) if is_value => return shown(sensitivity.allows(arg)),
            Flag::Ambiguous if is_value => return shown(is_port_or_path(arg)),
            Flag::User if is_value => return user(arg, 0),
            Flag::Script => return Judgement::Script,
            Flag::Word(left) if !arg.starts_with('-') => {
                if looks::is_opaque(arg.strip_prefix("s:").unwrap_or(arg)) {
                    return shown(false);
                }
                if left > 1 {
                    self.flag = Flag::Word(left - 1);
                }
            }
            Flag::Counted(left) if !arg.starts_with('-') => {
                if left > 1 {
                    self.flag = Flag::Counted(left - 1);
                }
                if left == 1 || looks::is_random(arg) {
                    return shown(Sensitivity::Secret.allows(arg));
                }
            }
            _ => (),
        }
        if let Some(judgement) = self.attached(arg) {
            return judgement;
        }
        if let Some((key, _)) = arg.split_once('=').filter(|(key, _)| is_name(key)) {
            return assignment(arg, key);
        }
        // Of QEMU: `secret,id=a,data=x`
        if let Some(data) = arg.strip_prefix("secret,").and_then(|rest| rest.find("data=")) {
            return Judgement::Secret("secret,".len() + data + "data=".len()..arg.len());
        }
        self.note(arg, is_first);
        if self.flag == Flag::None && matches!(flag, Flag::Counted(_)) && arg.starts_with('-') {
            self.flag = flag;
        }
        Judgement::Text
    }

    /// Judges a flag with its value in one argument: `-pPASSWORD`, `-uUSER:PASSWORD`.
    fn attached(&self, arg: &str) -> Option<Judgement> {
        /// Names of flags that are not `-p` with a password.
        const NAMES: &[&str] =
            &["-pass", "-passin", "-passout", "-passphrase", "-passwd", "-password", "-psk", "-pw"];
        if self.is_oracle
            && let Some((user, rest)) = arg.split_once('/')
            && !user.is_empty()
            && is_name(user)
            && !rest.starts_with('/')
        {
            let end = rest.find('@').unwrap_or(rest.len());
            return (end > 0).then(|| Judgement::Secret(user.len() + 1..user.len() + 1 + end));
        }
        if let Some(rest) = arg.strip_prefix("-u").filter(|rest| rest.contains(':') && !rest.contains("://"))
        {
            return Some(user(rest, 2));
        }
        let secrets = self.program.filter(|_| !NAMES.contains(&arg))?.secrets;
        let bundle = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-') && !arg.contains("://"));
        let bundled = bundle.and_then(|bundle| {
            secrets.iter().find_map(|flag| {
                let letter = flag.strip_prefix('-').filter(|name| name.len() == 1)?;
                // Flags without a value can precede it: `-vvpPASSWORD`.
                let at = bundle.find(letter)?;
                let before = &bundle[..at];
                let is_bundle = before.bytes().all(|b| has(b"vVsqfNBtnE", b)) && before.len() < 5;
                let start = 1 + at + 1;
                (is_bundle && start < arg.len()).then_some(Judgement::Secret(start..arg.len()))
            })
        });
        bundled.or_else(|| {
            let mut flags = secrets.iter().filter(|flag| flag.len() > 2 && arg.len() > flag.len());
            let long = flags.find(|flag| arg.starts_with(**flag))?;
            (!arg.starts_with("--")).then_some(Judgement::Secret(long.len()..arg.len()))
        })
    }

    /// Notes what an argument says about the following ones.
    fn note(&mut self, arg: &str, is_first: bool) {
        if !arg.starts_with('-')
            && let Some(program) = programs::find(arg)
        {
            self.program = Some(program);
            self.is_oracle = ORACLE.contains(&program.names[0]) && (is_first || arg.len() > 4);
        }
        let is = |list: &[&str]| list.contains(&arg);
        if is_first {
            self.has_other_p = OTHER_P.contains(&arg.rsplit('/').next().unwrap_or(""));
        }
        // `-vu`: the last of several short flags takes the value.
        let last =
            arg.chars().last().filter(|_| arg.starts_with('-') && !arg.starts_with("--") && arg.len() > 2);
        let is_last_of = |list: &[&str]| {
            last.is_some_and(|last| list.iter().any(|flag| flag.len() == 2 && flag.ends_with(last)))
                && arg.len() < 7
        };
        if let Some(program) = self.program {
            let base = arg.rsplit(['/', '\\']).next().unwrap_or("");
            if let Some((_, count)) = program.words.iter().find(|(word, _)| *word == arg || *word == base) {
                self.flag = Flag::Counted(*count);
                return;
            }
            if is(program.secrets) {
                self.flag = Flag::Named(Sensitivity::Secret);
                return;
            }
            if is(program.users) || is_last_of(program.users) {
                self.flag = Flag::User;
                return;
            }
        }
        if self.flag != Flag::None {
            return; // what an earlier word says still holds
        }
        self.flag = match arg {
            "-c" | "-ec" | "-lc" | "-ic" | "-xc" | "-Command" | "-EncodedCommand" | "/c" | "--command" => {
                Flag::Script
            }
            "-p" if !self.has_other_p => Flag::Ambiguous,
            "-u" | "-U" | "--user" | "--proxy-user" => Flag::User,
            _ if arg.starts_with('-') && is_name(arg) => match keys::classify(arg) {
                Sensitivity::Plain => Flag::None,
                sensitivity => Flag::Named(sensitivity),
            },
            _ => word(arg, is_first),
        };
    }
}

/// What a word says about the arguments that follow, if it names a secret: `AUTH x`,
/// `change_password joe x`, `//registry/:_authToken x`.
fn word(arg: &str, is_first: bool) -> Flag {
    const MOST: u8 = 2;
    // Names of objects that are listed and described have numbers in them, too.
    const OBJECTS: &[&str] = &["secret", "secrets", "token", "tokens"];
    let name = arg.rsplit(['/', ':']).next().unwrap_or("");
    let is_word = name.len() > 2 && name.len() < 40 && is_name(name) && !OBJECTS.contains(&name);
    if is_word && !(is_first && name.contains('.')) && keys::classify(name) == Sensitivity::Secret {
        Flag::Word(MOST)
    } else {
        Flag::None
    }
}

/// Whether this consists of letters, digits and the punctuation of names. Sentences, URLs and
/// scripts do not.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "-_.[]:".contains(c))
}

/// Judges `key=value`: a variable, a flag with its value, or what follows `--set`.
fn assignment(arg: &str, key: &str) -> Judgement {
    let start = key.len() + 1;
    let value = &arg[start..];
    match key {
        "--user" | "--proxy-user" => user(value, start),
        "--key" if looks::is_random(value) => Judgement::Secret(start..arg.len()),
        _ => match variable(key, value) {
            Sensitivity::Plain => Judgement::Text,
            sensitivity if sensitivity.allows(value) => Judgement::Shown(start),
            _ => Judgement::Secret(start..arg.len()),
        },
    }
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

/// Judges curl's `user:password`, Samba's `user%password` and lftp's `user,password`, which begins
/// at `start` of the argument. `1000:1000` is a user and a group.
fn user(text: &str, start: usize) -> Judgement {
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let are_ids = |user, group| is_id(user) && is_id(group);
    match text.split_once([':', '%', ',']) {
        Some((user, password))
            if !password.is_empty() && !are_ids(user, password) && !text.contains("://") =>
        {
            Judgement::Secret(start + user.len() + 1..start + text.len())
        }
        _ => Judgement::Shown(0),
    }
}

/// Whether the argument after `-p` of an unknown program can only be a port, a process or a path.
fn is_port_or_path(arg: &str) -> bool {
    let is_port = arg.bytes().all(|b| b.is_ascii_digit() || has(b".:-,", b)) && arg.len() > 1;
    let bare = arg.trim_end_matches("/tcp").trim_end_matches("/udp");
    is_port
        || bare.bytes().all(|b| b.is_ascii_digit() || b == b':')
        || arg.starts_with(['/', '-'])
        || arg.starts_with("./")
        || arg.len() < 2
}
