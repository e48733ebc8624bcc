//! The token of those who are asked. It comes from a file or from the environment, and never from the
//! command line, which everyone on the machine can read. It is in no message.

use std::env;
use std::fs;

use crate::options::Options;

/// The token, for who does not want a file.
const VARIABLE: &str = "GMR_COLLECT_TOKEN";

impl Options {
    /// The token, if there is one.
    ///
    /// # Errors
    /// It can't be read, or is none.
    pub fn token(&self) -> Result<Option<String>, String> {
        let token = match &self.token_file {
            Some(path) => {
                let read = fs::read_to_string(path);
                Some(read.map_err(|error| format!("could not read {}: {error}", path.display()))?)
            }
            None => env::var(VARIABLE).ok(),
        };
        let Some(token) = token else { return Ok(None) };
        let token = token.trim();
        // What is wrong with it is not shown.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "the token is not one: it is empty, or has spaces or other characters in it".to_owned()
            );
        }
        Ok(Some(token.to_owned()))
    }
}
