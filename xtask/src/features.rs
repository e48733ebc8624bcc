//! The features of gmr-runtime in combination: a few sets that put each pair of features to the
//! test, and all sets before a release. Features are additive, so each set compiles without a
//! warning.

use serde_json::Value;

use crate::cargo::{cargo, with_arguments};
use crate::metadata::{self, text};

/// Features of gmr-runtime that are not for users.
const HIDDEN: [&str; 5] = ["__bench", "__cli", "__fuzz", "__tokio_tracing", "schema"];

/// Compiles sets of features in which each two features occur in each combination: neither, both,
/// and one of them, either way. All features together have a step of their own.
pub(crate) fn check_pairs(metadata: &Value) -> Result<(), String> {
    let features = public(metadata)?;
    let (name, wrapper) = with_arguments(&[])?;
    // No feature at all, in a program that chooses a format.
    cargo(&["check", "--package", "gmr-test-strict", "--bin", "text"], &[(name, &wrapper)])?;
    let package = ["check", "--package", "gmr-runtime", "--lib", "--no-default-features", "--features"];
    for set in sets(&features) {
        cargo(&[&package[..], &[&set.join(",")]].concat(), &[(name, &wrapper)])?;
    }
    Ok(())
}

/// Compiles all sets of features, by cargo-hack.
pub(crate) fn check_all() -> Result<(), String> {
    let hidden = HIDDEN.join(",");
    let sets = ["--feature-powerset", "--exclude-features", &hidden];
    let package = ["hack", "check", "--package", "gmr-runtime", "--lib"];
    let (name, wrapper) = with_arguments(&[])?;
    cargo(&[&package[..], &sets].concat(), &[(name, &wrapper)])
}

/// The features for users. gmr passes each one on under the same name, so that its sets are those
/// of gmr-runtime.
fn public(metadata: &Value) -> Result<Vec<&str>, String> {
    let features = |package| {
        let package = metadata::published(metadata).find(|other| text(other, "name") == package);
        let features = package.and_then(|package| package["features"].as_object());
        features.into_iter().flatten().filter(|(name, _)| !HIDDEN.contains(&name.as_str()))
    };
    let passed_on = features("gmr").filter(|(name, enables)| {
        let same = format!("gmr-runtime/{name}");
        enables.as_array().into_iter().flatten().any(|feature| *feature == same.as_str())
    });
    let passed_on: Vec<&str> = passed_on.map(|(name, _)| name.as_str()).collect();
    match features("gmr-runtime").find(|(name, _)| !passed_on.contains(&name.as_str())) {
        Some((name, _)) => {
            Err(format!("gmr does not pass on gmr-runtime's feature `{name}`: add it to Cargo.toml"))
        }
        None => Ok(passed_on),
    }
}

/// As few sets as possible in which no feature occurs only where another one does. A feature is
/// told by the sets that it is in: half of them, and another half for each feature. So of two
/// features, each one is in a set without the other.
fn sets<'a>(features: &[&'a str]) -> Vec<Vec<&'a str>> {
    let halves = |count: u32| (0..1_u32 << count).filter(move |half| half.count_ones() == count / 2);
    let count = (2..u32::BITS).find(|count| halves(*count).count() >= features.len()).expect("there are few");
    let of_features: Vec<(&str, u32)> = features.iter().copied().zip(halves(count)).collect();
    let set = |index: u32| {
        let is_in = |(_, half): &&(&str, u32)| half & 1 << index != 0;
        of_features.iter().filter(is_in).map(|(feature, _)| *feature).collect()
    };
    (0..count).map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::sets;

    #[test]
    fn each_feature_is_in_a_set_without_each_other() {
        const FEATURES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
        for count in 1..=FEATURES.len() {
            let features = &FEATURES[..count];
            let sets = sets(features);
            assert!(sets.len() <= 5, "{sets:?}");
            for one in features {
                for other in features.iter().filter(|other| *other != one) {
                    let apart = |set: &&Vec<&str>| set.contains(one) && !set.contains(other);
                    assert!(sets.iter().any(|set| apart(&set)), "{one} without {other}: {sets:?}");
                }
            }
        }
    }
}
