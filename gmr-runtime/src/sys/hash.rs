//! Hash maps and sets that make no system call.
//!
//! Those of std get random keys in each thread. Where the kernel refuses `getrandom`, std opens
//! `/dev/urandom` and keeps the descriptor for all threads. In one of gmr's threads, that could be
//! a descriptor of its [own table](super::separate_files): in the program's table, the same number
//! is another file, which the program's next hash map would read from. So gmr does not use std's
//! keys, and `clippy.toml` forbids them.
//!
//! With fixed keys, whoever chooses what is hashed can make a map slow. These maps have addresses,
//! ids and names of one process, and as many as one report has.
#![expect(clippy::disallowed_types, reason = "with other keys")]

use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

pub(crate) type Keys = BuildHasherDefault<DefaultHasher>;
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, Keys>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, Keys>;

/// A map by numbers: ids, or addresses. Each kind of hash map adds 3 KiB to a program, and this is
/// one kind for all values.
#[derive(Debug, Clone)]
pub(crate) struct NumberMap<V> {
    places: Places,
    values: Vec<V>,
}

type Places = std::collections::HashMap<u64, usize, BuildHasherDefault<NumberHasher>>;

/// Hashes one number by one multiplication. std's hash takes longer, and stacks have many addresses.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        /// The golden ratio, as a fraction of 64 bits. Multiplying by it spreads numbers that lie
        /// close together.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = (self.0 ^ number).wrapping_mul(FACTOR);
        // The upper bits depend on all others, and the lower ones do not.
        self.0 = product ^ product >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<V> NumberMap<V> {
    pub(crate) fn get(&self, number: u64) -> Option<&V> {
        find(&self.places, number).map(|place| &self.values[place])
    }

    /// All values, in the order in which their numbers were added.
    pub(crate) fn values(&self) -> &[V] {
        &self.values
    }

    /// Sets the value of a number.
    pub(crate) fn insert(&mut self, number: u64, value: V) {
        match find(&self.places, number) {
            Some(place) => self.values[place] = value,
            None => self.add(number, value),
        }
    }

    /// The value of a number, which is made if it is not there.
    pub(crate) fn entry(&mut self, number: u64, value: impl FnOnce() -> V) -> &V {
        let place = find(&self.places, number).unwrap_or_else(|| {
            self.add(number, value());
            self.values.len() - 1
        });
        &self.values[place]
    }

    fn add(&mut self, number: u64, value: V) {
        self.values.push(value);
        add(&mut self.places, number, self.values.len() - 1);
    }
}

#[inline(never)]
fn find(places: &Places, number: u64) -> Option<usize> {
    places.get(&number).copied()
}

#[inline(never)]
fn add(places: &mut Places, number: u64, place: usize) {
    places.insert(number, place);
}

impl<V> Default for NumberMap<V> {
    fn default() -> Self {
        Self { places: Places::default(), values: Vec::new() }
    }
}

impl<V> FromIterator<(u64, V)> for NumberMap<V> {
    fn from_iter<I: IntoIterator<Item = (u64, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(number, value)| map.insert(number, value));
        map
    }
}

/// The address of a value, by which it is found in a [`NumberMap`].
pub(crate) fn address<T: ?Sized>(value: *const T) -> u64 {
    value.cast::<()>().addr() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_own_value() {
        let mut map: NumberMap<u64> = (0..500).map(|number| (number << 32, number)).collect();
        map.insert(7 << 32, 8);
        assert_eq!((map.get(7 << 32), map.get(8 << 32), map.get(1)), (Some(&8), Some(&8), None));
        assert_eq!(*map.entry(9 << 32, || unreachable!("it is there")), 9);
        assert_eq!((*map.entry(1, || 10), map.get(1)), (10, Some(&10)));
        assert!((10..500).all(|number| map.get(number << 32) == Some(&number)));
    }
}
