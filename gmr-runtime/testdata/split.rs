//! Input for the tests of split debug information, which compile it in several ways.

use std::sync::Mutex;

#[inline(always)]
fn doubled(number: u64) -> u64 {
    number.wrapping_mul(2) ^ number.rotate_left(7)
}

pub mod stock {
    use super::*;

    #[inline(never)]
    pub fn count(all: &Mutex<Vec<u64>>, number: u64) -> u64 {
        let mut all = all.lock().unwrap();
        all.push(doubled(number));
        all.iter().map(|one| doubled(*one)).fold(0, u64::wrapping_add)
    }
}

fn main() {
    let all = Mutex::new(vec![3, 5, 7]);
    println!("{}", stock::count(&all, std::env::args().count() as u64));
}
