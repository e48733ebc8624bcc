//! Environment: the variables that the process was started with, secrets masked. Nothing here reads
//! the variables as they are now: a stuck thread may hold the lock around them.

use crate::model::{Content, Environment, Variable};
use crate::sys::procfs;

pub(super) fn generate() -> Content {
    match procfs::environment() {
        Ok(variables) => Content::Environment(Environment {
            variables: variables.into_iter().map(|(name, value)| variable(name, &value)).collect(),
            notes: Vec::new(),
        }),
        Err(error) => Content::Error(format!("the environment could not be read: {error}")),
    }
}

/// Directories, as shells set them. The rules for names take `pwd` for a password.
const DIRECTORIES: [&str; 2] = ["OLDPWD", "PWD"];

/// The variable, masked as if it were a field of a section.
fn variable(name: String, value: &str) -> Variable {
    if DIRECTORIES.contains(&name.as_str()) && value.starts_with('/') {
        let value = gmr_mask::text(value).into_owned();
        return Variable { name, value };
    }
    let value = gmr_mask::field(&name, value);
    Variable { name, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_by_the_name_and_by_the_value() {
        let shown = |name: &str, value: &str| variable(name.to_owned(), value).value;
        assert_eq!(shown("RUST_LOG", "info,shop=debug"), "info,shop=debug");
        assert_eq!(shown("DB_PASSWORD", "hunter2"), "***");
        assert_eq!([shown("PWD", "/srv/shop"), shown("PWD", "hunter2")], ["/srv/shop", "***"]);
        assert_eq!(
            shown("DATABASE_URL", "postgres://shop:hunter2@db1/orders"),
            "postgres://shop:***@db1/orders"
        );
    }
}
