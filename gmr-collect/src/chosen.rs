//! Which of all endpoints are asked: so many, chosen at random, of all or of each kind.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use crate::at_most::AtMost;

/// Endpoints that are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<E> {
    /// With the place of each in the list of all, from 1, in that order.
    pub(crate) endpoints: Vec<(usize, E)>,
    /// How many there were to choose from.
    pub(crate) all: usize,
}

/// So many of them, or all.
pub fn chosen<E>(endpoints: Vec<E>, at_most: Option<AtMost>) -> Chosen<E> {
    chosen_of_each(endpoints, at_most, |_| ())
}

/// So many of each kind, and at least one, or all.
pub fn chosen_of_each<E, K: Ord>(
    endpoints: Vec<E>,
    at_most: Option<AtMost>,
    kind: impl Fn(&E) -> K,
) -> Chosen<E> {
    let all = endpoints.len();
    let endpoints = endpoints.into_iter().zip(1..).map(|(endpoint, place)| (place, endpoint));
    let Some(at_most) = at_most else { return Chosen { endpoints: endpoints.collect(), all } };
    let mut kinds: BTreeMap<K, Vec<(usize, E)>> = BTreeMap::new();
    for (place, endpoint) in endpoints {
        kinds.entry(kind(&endpoint)).or_default().push((place, endpoint));
    }
    let random = RandomState::new();
    let mut endpoints = Vec::new();
    for mut of_kind in kinds.into_values() {
        let count = at_most.of(of_kind.len());
        of_kind.sort_by_cached_key(|(place, _)| random.hash_one(place));
        endpoints.extend(of_kind.into_iter().take(count));
    }
    endpoints.sort_unstable_by_key(|(place, _)| *place);
    Chosen { endpoints, all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_chosen_at_random_and_stays_in_order() {
        let places = |at_most| {
            let chosen = chosen((1..=1_000).collect(), at_most);
            assert!(
                chosen.endpoints.iter().all(|(place, endpoint)| place == endpoint) && chosen.all == 1_000
            );
            chosen.endpoints.into_iter().map(|(place, _)| place).collect::<Vec<_>>()
        };
        let some = || places(Some(AtMost::Number(20)));
        let (one, other) = (some(), some());
        assert!(one.len() == 20 && one.is_sorted() && one.windows(2).all(|pair| pair[0] < pair[1]));
        // By chance, they are the same once in 10^41 runs.
        assert_ne!(one, other);
        assert_eq!(places(None).len(), 1_000);
    }

    #[test]
    fn of_each_kind_there_is_one() {
        // One is rare.
        let endpoints = (0..1_000).map(|index| if index == 617 { "1.2" } else { "1.1" }).collect();
        let chosen = chosen_of_each(endpoints, Some(AtMost::Percent(1.0)), |version| *version);
        let rare = chosen.endpoints.iter().filter(|(_, version)| *version == "1.2");
        assert_eq!((chosen.endpoints.len(), rare.count(), chosen.all), (11, 1, 1_000));
    }
}
