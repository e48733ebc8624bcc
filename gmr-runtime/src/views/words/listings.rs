//! The wording of sections that are lists: descriptors, modules, environment variables.

use std::fmt::Write as _;

use super::Field;
use crate::model::{Descriptors, Environment, Module, ModuleState, Modules, OpenFile, SocketGroup};
use crate::units::{bytes, counted};
use crate::views::escape::clean;

/// Fields, and lists with one line per item.
pub(in crate::views) struct Listing {
    pub(in crate::views) fields: Vec<Field>,
    /// Each with its title.
    pub(in crate::views) lists: Vec<(&'static str, Vec<String>)>,
}

impl Listing {
    fn new(fields: Vec<Field>, notes: &[String], lists: Vec<(&'static str, Vec<String>)>) -> Self {
        let notes = super::notes(notes).map(|note| ("note", note));
        let fields = fields.into_iter().chain(notes).collect();
        Self { fields, lists: lists.into_iter().filter(|(_, lines)| !lines.is_empty()).collect() }
    }
}

pub(in crate::views) fn descriptors(value: &Descriptors) -> Listing {
    let mut fields = Vec::new();
    let limit = value.limit.map(|limit| format!(" (limit {limit})")).unwrap_or_default();
    fields.extend(value.open.map(|open| ("open", format!("{open}{limit}"))));
    let kinds: Vec<String> = value.kinds.iter().map(|kind| kinds(kind.count, &kind.name)).collect();
    if !kinds.is_empty() {
        fields.push(("by kind", kinds.join(", ")));
    }
    let mut sockets: Vec<String> = value.sockets.iter().map(socket_group).collect();
    if value.more_sockets > 0 {
        sockets.push(format!("({} in other groups)", several(value.more_sockets, "more socket")));
    }
    let mut files: Vec<String> = value.files.iter().map(file).collect();
    if value.more_files > 0 {
        files.push(format!("({})", several(value.more_files, "more descriptor")));
    }
    Listing::new(fields, &value.notes, vec![("sockets", sockets), ("files", files)])
}

fn several(count: u64, noun: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

/// `3 pipes`, but `3 epoll`.
fn kinds(count: u64, name: &str) -> String {
    let is_noun = name.ends_with("socket") || matches!(name, "file" | "pipe" | "device");
    let name = clean(name);
    if is_noun { several(count, &name) } else { format!("{count} {name}") }
}

/// `212 TCP to 10.0.0.7:5432, established (lowest: #7)`
fn socket_group(value: &SocketGroup) -> String {
    let mut text = format!("{} {}", value.count, clean(&value.protocol));
    if let Some(local) = &value.local {
        text.push_str(" on ");
        text.push_str(&clean(local));
    }
    match &value.peer {
        Some(peer) => {
            text.push_str(" to ");
            text.push_str(&clean(peer));
        }
        None if value.peers > 0 => {
            text.push_str(" from ");
            text.push_str(&several(value.peers, "peer"));
        }
        None => {}
    }
    let queue = |size: u64, what: &str| (size > 0).then(|| format!("{} {what}", bytes(size)));
    let more = [
        value.state.as_deref().map(|state| clean(state).into_owned()),
        value
            .accept_queue
            .filter(|queue| *queue > 0)
            .map(|queue| several(queue, "connection") + " waiting to be accepted"),
        queue(value.receive_queue_bytes, "received but not read"),
        queue(value.send_queue_bytes, "sent but not acknowledged"),
    ];
    for part in more.into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&part);
    }
    let lowest = if value.count > 1 { "lowest: " } else { "" };
    let _ = write!(text, " ({lowest}#{})", value.descriptor);
    text
}

/// `#7 /var/log/shop.log, append, at offset 1.2 MiB of 1.2 MiB`
fn file(value: &OpenFile) -> String {
    let others = if value.count > 1 { format!(" and {} more,", value.count - 1) } else { String::new() };
    let access = value.access.as_ref().map(|access| format!(", {}", clean(access))).unwrap_or_default();
    let size = match (value.position, value.size_bytes) {
        (Some(position), Some(size)) => format!(", at offset {} of {}", bytes(position), bytes(size)),
        (Some(position), None) => format!(", at offset {}", bytes(position)),
        (None, Some(size)) => format!(", size {}", bytes(size)),
        (None, None) => String::new(),
    };
    format!("#{}{others} {}{access}{size}", value.descriptor, clean(&value.path))
}

pub(in crate::views) fn modules(value: &Modules) -> Listing {
    let lines = value.modules.iter().map(module).collect();
    Listing::new(Vec::new(), &value.notes, vec![("modules", lines)])
}

/// `0x7f3a1000-0x7f3b2000 /usr/lib/libc.so.6, 68.0 KiB, build-id 4f2c1e9`
fn module(value: &Module) -> String {
    let size = bytes(value.end.saturating_sub(value.start));
    let build_id = value.build_id.as_ref().map(|id| format!(", build-id {}", clean(id))).unwrap_or_default();
    let state = match value.state {
        ModuleState::InPlace | ModuleState::Deleted => "",
        ModuleState::Replaced => ", replaced by another file",
    };
    format!("{:#x}-{:#x} {}, {size}{build_id}{state}", value.start, value.end, clean(&value.path))
}

pub(in crate::views) fn environment(value: &Environment) -> Listing {
    let variables = value.variables.iter();
    let lines = variables.map(|variable| format!("{} = {}", clean(&variable.name), clean(&variable.value)));
    Listing::new(Vec::new(), &value.notes, vec![("variables", lines.collect())])
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::DescriptorKind;

    #[test]
    fn descriptors_look_like_this() {
        let kind = |name: &str, count| DescriptorKind { name: name.into(), count };
        let connections = SocketGroup {
            protocol: "TCP".into(),
            peer: Some("10.0.0.7:5432".into()),
            state: Some("established".into()),
            count: 212,
            receive_queue_bytes: 2048,
            descriptor: 9,
            ..SocketGroup::default()
        };
        let listener = SocketGroup {
            protocol: "TCP".into(),
            local: Some("0.0.0.0:80".into()),
            state: Some("listening".into()),
            count: 1,
            accept_queue: Some(3),
            descriptor: 5,
            ..SocketGroup::default()
        };
        let accepted =
            SocketGroup { local: Some("10.0.0.1:80".into()), peer: None, peers: 7, ..connections.clone() };
        let log = OpenFile {
            descriptor: 7,
            count: 1,
            path: "/var/log/shop.log (deleted)".into(),
            deleted: true,
            position: Some(1 << 20),
            size_bytes: Some(3 << 20),
            access: Some("append".into()),
            ..OpenFile::default()
        };
        let directory = OpenFile { descriptor: 8, count: 3, path: "/srv".into(), ..OpenFile::default() };
        let value = Descriptors {
            open: Some(230),
            read: 230,
            limit: Some(1024),
            kinds: vec![kind("TCP socket", 213), kind("file", 1), kind("epoll", 2)],
            sockets: vec![connections, accepted, listener],
            more_sockets: 4,
            files: vec![log, directory],
            more_files: 1,
            notes: vec!["only the first".into()],
            ..Descriptors::default()
        };
        let Listing { fields, lists } = descriptors(&value);
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        assert_eq!(
            fields,
            [
                "open = 230 (limit 1024)",
                "by kind = 213 TCP sockets, 1 file, 2 epoll",
                "note = only the first"
            ]
        );
        let [(sockets, sockets_shown), (files, files_shown)] = &lists[..] else { panic!("two lists") };
        assert_eq!((*sockets, *files), ("sockets", "files"));
        assert_eq!(
            *sockets_shown,
            [
                "212 TCP to 10.0.0.7:5432, established, 2.0 KiB received but not read (lowest: #9)",
                "212 TCP on 10.0.0.1:80 from 7 peers, established, 2.0 KiB received but not read (lowest: #9)",
                "1 TCP on 0.0.0.0:80, listening, 3 connections waiting to be accepted (#5)",
                "(4 more sockets in other groups)",
            ]
        );
        assert_eq!(
            *files_shown,
            [
                "#7 /var/log/shop.log (deleted), append, at offset 1.0 MiB of 3.0 MiB",
                "#8 and 2 more, /srv",
                "(1 more descriptor)"
            ]
        );
    }

    #[test]
    fn a_replaced_module_says_so() {
        let path = "/usr/bin/shop (deleted)".to_owned();
        let one = Module { path, start: 0x1000, end: 0x3000, ..Module::default() };
        assert_eq!(module(&one), "0x1000-0x3000 /usr/bin/shop (deleted), 8.0 KiB");
        let replaced = Module { state: ModuleState::Replaced, build_id: Some("4f".into()), ..one };
        assert_eq!(
            module(&replaced),
            "0x1000-0x3000 /usr/bin/shop (deleted), 8.0 KiB, build-id 4f, replaced by another file"
        );
    }
}
