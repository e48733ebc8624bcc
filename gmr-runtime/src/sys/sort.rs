//! Sorts lists in little code. Each kind of list that std's sorts are used for adds 5 KiB to a
//! program, which is for speed; what a report sorts is short.
//!
//! The positions are sorted, by one function for all kinds, and the items swapped to them.

use std::cmp::Ordering;

/// Sorts in ascending order.
pub(crate) fn all<T: Ord>(items: &mut [T]) {
    let order = order(items.len(), &mut |a, b| items[a].cmp(&items[b]));
    permute(order, &mut |a, b| items.swap(a, b));
}

/// Sorts by a key, which is computed once for each item. Items with the same key keep their order.
pub(crate) fn by_key<T, K: Ord>(items: &mut [T], key: impl FnMut(&T) -> K) {
    let keys: Vec<K> = items.iter().map(key).collect();
    let order = order(items.len(), &mut |a, b| keys[a].cmp(&keys[b]));
    permute(order, &mut |a, b| items.swap(a, b));
}

/// For each position, that of the item which belongs there.
#[inline(never)]
fn order(length: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

#[inline(never)]
fn permute(mut order: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..order.len() {
        let mut at = start;
        // Along the cycle of positions that ends here.
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_as_std_does() {
        let mut state = 17_u64;
        for length in 0..200 {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % 50
            };
            let items: Vec<(u64, usize)> = (0..length).map(|index| (next(), index)).collect();
            let (mut ours, mut theirs) = (items.clone(), items.clone());
            by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            assert_eq!(ours, theirs, "and it is stable");
            ours.reverse();
            all(&mut ours);
            theirs.sort_unstable();
            assert_eq!(ours, theirs);
        }
    }
}
