//! The gate: every text of a report that comes from the program, its environment or the system has
//! its secrets masked here, whatever its generator has masked already. It is the last step before
//! findings and views see the text.
//!
//! Not masked are names of functions, types and fields, which are the program's source code; what
//! gmr writes itself; and [`Value`](crate::model::Value), which is masked while it is made, by the
//! names of its fields. The test lists these: a new field of the model fails it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::{Children, Modules};
use crate::model::{
    Content, Descriptors, Events, Frame, GreenThreads, Heading, Package, Panicked, Process, Resources,
    Section, Spans, TaskState, Thread, Trigger, Waiting,
};
use crate::sys::hash::NumberMap;

fn text(text: &mut String) {
    if let Cow::Owned(masked) = gmr_mask::text(text) {
        *text = masked;
    }
}

/// Texts that many tasks share, each masked once for all of them: masking 100,000 names took half of
/// a report's time.
#[derive(Default)]
struct SharedTexts(NumberMap<Masked>);

struct Masked {
    /// Kept, so that no other text gets its address meanwhile.
    _original: Arc<str>,
    /// `None` if there is nothing to mask.
    masked: Option<Arc<str>>,
}

impl SharedTexts {
    fn mask(&mut self, text: &mut Arc<str>) {
        let address = Arc::as_ptr(text).addr() as u64;
        let known = self.0.entry(address, || {
            let masked = match gmr_mask::text(text) {
                Cow::Owned(masked) => Some(masked.into()),
                Cow::Borrowed(_) => None,
            };
            Masked { _original: Arc::clone(text), masked }
        });
        if let Some(masked) = &known.masked {
            *text = Arc::clone(masked);
        }
    }
}

fn texts<'a>(all: impl IntoIterator<Item = &'a mut String>) {
    all.into_iter().for_each(text);
}

/// Masks what a heading says about who requested the report.
pub(super) fn heading(heading: &mut Heading) {
    texts(&mut heading.notes);
    match &mut heading.trigger {
        Trigger::Signal { sender: Some(sender), .. } => {
            texts(sender.user.iter_mut().chain(&mut sender.command));
        }
        Trigger::File { path, .. } | Trigger::Http { path, .. } => text(path),
        Trigger::Automatic { cause, .. } => text(cause),
        _ => (),
    }
}

/// Masks where code comes from.
pub(super) fn frames(frames: &mut [Frame]) {
    for frame in frames {
        texts(frame.file.iter_mut().chain(&mut frame.source).chain(&mut frame.module));
    }
}

/// Masks a section and its title.
pub(super) fn section(section: &mut Section) {
    text(&mut section.title);
    content(&mut section.content);
}

fn content(content: &mut Content) {
    match content {
        Content::Package(all) => package(all),
        Content::Resources(all) => resources(all),
        Content::Threads(all) => {
            texts(&mut all.notes);
            all.threads.iter_mut().for_each(thread);
        }
        Content::GreenThreads(all) => green_threads(all),
        Content::Processes(all) => {
            texts(&mut all.notes);
            all.processes.iter_mut().for_each(process);
        }
        Content::Descriptors(all) => descriptors(all),
        Content::Modules(all) => modules(all),
        Content::Environment(all) => {
            texts(&mut all.notes);
            texts(all.variables.iter_mut().flat_map(|variable| [&mut variable.name, &mut variable.value]));
        }
        Content::Configuration(groups) => {
            for group in groups {
                text(&mut group.title);
                self::content(&mut group.content);
            }
        }
        Content::Spans(all) => spans(all),
        Content::Events(all) => events(all),
        Content::Text(all) | Content::Error(all) | Content::Skipped(all) => text(all),
        Content::Panicked(Panicked { message, location, .. }) => {
            text(message);
            texts(location);
        }
        Content::Fields(_) | Content::Nothing | Content::TimedOut(_) | Content::StillRunning(_) => (),
    }
}

fn package(package: &mut Package) {
    let stated = package.kubernetes.iter_mut();
    texts(stated.flat_map(|stated| [&mut stated.name, &mut stated.value, &mut stated.source]));
    texts(package.notes.iter_mut().chain(&mut package.command));
    let optional = [
        &mut package.product,
        &mut package.vendor,
        &mut package.version,
        &mut package.revision,
        &mut package.executable,
        &mut package.working_directory,
        &mut package.host,
    ];
    texts(optional.into_iter().flatten());
}

fn resources(resources: &mut Resources) {
    texts(resources.notes.iter_mut().chain(resources.cgroups.iter_mut().map(|cgroup| &mut cgroup.path)));
}

fn thread(thread: &mut Thread) {
    text(&mut thread.name);
    texts(&mut thread.stack.incomplete);
    if let Some(waiting) = &mut thread.waiting {
        self::waiting(waiting);
    }
}

fn waiting(waiting: &mut Waiting) {
    let optional = [&mut waiting.target, &mut waiting.path, &mut waiting.peer];
    texts(optional.into_iter().flatten());
    texts(waiting.futex_owner.iter_mut().filter_map(|owner| owner.name.as_mut()));
    texts(waiting.descriptors.iter_mut().filter_map(|watched| watched.target.as_mut()));
    if let Some(Children::One { name, .. }) = &mut waiting.children {
        texts(name);
    }
}

fn green_threads(all: &mut GreenThreads) {
    texts(&mut all.notes);
    texts(all.runtimes.iter_mut().map(|runtime| &mut runtime.kind));
    let mut shared = SharedTexts::default();
    for task in &mut all.tasks {
        shared.mask(&mut task.name);
        shared.mask(&mut task.spawned_at);
        if let Some(span) = &mut task.span {
            shared.mask(&mut span.name);
        }
        texts(task.labels.iter_mut().flat_map(|label| [&mut label.key, &mut label.value]));
        if let TaskState::Polling { thread, .. } = &mut task.state {
            texts(thread);
        }
    }
}

fn process(process: &mut Process) {
    texts(process.command.iter_mut().chain(&mut process.user));
}

fn descriptors(all: &mut Descriptors) {
    texts(&mut all.notes);
    texts(all.files.iter_mut().map(|file| &mut file.path));
    for socket in &mut all.sockets {
        texts([&mut socket.local, &mut socket.peer].into_iter().flatten());
    }
    let peers = all.ephemeral_ports.iter_mut().flat_map(|ports| &mut ports.peers);
    texts(peers.flat_map(|peer| [&mut peer.local, &mut peer.peer]));
}

fn modules(all: &mut Modules) {
    texts(&mut all.notes);
    texts(all.modules.iter_mut().map(|module| &mut module.path));
}

fn spans(all: &mut Spans) {
    texts(&mut all.notes);
}

fn events(all: &mut Events) {
    texts(&mut all.notes);
    texts(all.events.iter_mut().filter_map(|event| event.message.as_mut()));
}

#[cfg(all(test, not(gmr_units), feature = "html", feature = "json", feature = "xml"))]
mod tests;
