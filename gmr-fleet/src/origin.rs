//! From which host reports are, as the names of batches begin: those who ship the reports of a host find
//! which of them are there without looking at the batches of others. It reads nothing of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use gmr_runtime::__cli;
use gmr_runtime::Report;

use crate::split::{id_of, package};

/// One who ships the reports of more hosts of a partition looks at all batches of it: one list is less
/// than a list for each host.
const MAX_HOSTS: usize = 8;

/// What a batch is of. It has no report of another host, unless it is of several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// A host or a pod, by a hash of its name.
    Host(String),
    /// Several hosts, or one that is not known.
    Many,
}

/// Reports by their ids.
pub(crate) type Reports = BTreeMap<String, Origin>;

impl Origin {
    pub(crate) fn of(report: &Report) -> Self {
        let host = package(report).and_then(__cli::host);
        host.map_or(Self::Many, |host| Self::Host(id_of(host)[..16].to_owned()))
    }

    /// That of a batch of these reports.
    fn of_all(reports: &Reports) -> Self {
        let mut origins = reports.values();
        match origins.next() {
            Some(first) if origins.all(|other| other == first) => first.clone(),
            _ => Self::Many,
        }
    }
}

impl Display for Origin {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(hash) => formatter.write_str(hash),
            Self::Many => formatter.write_str("many"),
        }
    }
}

/// The name of a batch: the same for the same reports, in whichever order they came.
pub(crate) fn name_of(reports: &Reports) -> String {
    let ids: String = reports.keys().map(String::as_str).collect();
    format!("{}-{}", Origin::of_all(reports), id_of(&ids))
}

/// Of which origins the batches in a folder were looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    at: BTreeSet<Origin>,
    is_at_all: bool,
}

impl Looked {
    pub(crate) fn has(&self, origin: &Origin) -> bool {
        self.is_at_all || self.at.contains(origin)
    }

    /// How the paths begin where reports of these origins are, below a folder.
    pub(crate) fn beginnings(&self, folder: &str, origins: &BTreeSet<Origin>) -> Vec<String> {
        let is_too_much = !self.is_at_all && self.at.union(origins).count() > MAX_HOSTS;
        if is_too_much || origins.len() > MAX_HOSTS {
            return vec![format!("{folder}/")];
        }
        let of_hosts = origins.iter().filter(|origin| **origin != Origin::Many);
        of_hosts.chain([&Origin::Many]).map(|origin| format!("{folder}/{origin}-")).collect()
    }

    /// These were looked at.
    pub(crate) fn add(&mut self, origins: BTreeSet<Origin>) {
        self.at.extend(origins);
        self.is_at_all |= self.at.len() > MAX_HOSTS;
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn host(name: &str) -> Origin {
        Origin::Host(name.to_owned())
    }

    #[test]
    fn a_batch_is_of_a_host_if_all_of_its_reports_are() {
        let name = |origins: &[Origin]| {
            let ids = ["x", "y", "z"].map(str::to_owned);
            name_of(&ids.into_iter().zip(origins.iter().cloned()).collect())
        };
        let (a, b) = (host("a"), host("b"));
        assert!(name(&[a.clone(), a.clone()]).starts_with("a-"));
        for origins in [[a.clone(), b.clone()], [a.clone(), Origin::Many], [Origin::Many, Origin::Many]] {
            assert!(name(&origins).starts_with("many-"), "{origins:?}");
        }
        assert_ne!(name(slice::from_ref(&a)), name(&[a.clone(), a]), "other reports");
    }

    #[test]
    fn others_are_looked_at_by_one_with_reports_of_many_hosts_alone() {
        let mut looked = Looked::default();
        let one = BTreeSet::from([host("a")]);
        assert_eq!(looked.beginnings("x", &one), ["x/a-", "x/many-"]);
        assert!(!looked.has(&host("a")));
        looked.add(one);
        assert!(looked.has(&host("a")) && !looked.has(&host("b")) && !looked.has(&Origin::Many));
        let unknown = BTreeSet::from([Origin::Many]);
        assert_eq!(looked.beginnings("x", &unknown), ["x/many-"]);
        let hosts: BTreeSet<Origin> = (0..MAX_HOSTS).map(|index| host(&index.to_string())).collect();
        assert_eq!(looked.beginnings("x", &hosts), ["x/"]);
        looked.add(hosts);
        assert!(looked.has(&host("b")) && looked.has(&Origin::Many));
        // What has come since then is looked at as before.
        assert_eq!(looked.beginnings("x", &unknown), ["x/many-"]);
    }
}
