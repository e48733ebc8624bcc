//! Hash maps and sets that make no system call.
//!
//! Those of std get random keys in each thread. Where the kernel refuses `getrandom`, std opens
//! `/dev/urandom` and keeps the descriptor for all threads. In one of gmr's threads, that could be a
//! descriptor of its [own table](super::separate_files): in the program's table, the same number is
//! another file, which the program's next hash map would read from. So gmr does not use std's keys,
//! and `clippy.toml` forbids them.
//!
//! With fixed keys, whoever chooses what is hashed can make a map slow. These maps have addresses,
//! ids and names of one process, and as many as one report has.
#![expect(clippy::disallowed_types, reason = "with other keys")]

use std::hash::{BuildHasherDefault, DefaultHasher};

pub(crate) type Keys = BuildHasherDefault<DefaultHasher>;
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, Keys>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, Keys>;
