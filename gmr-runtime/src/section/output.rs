//! What a generator returns: the content of a section, and the frames of the stacks in it. Outputs
//! are merged here so that a report has one table of frames.

use crate::sys::hash::{NumberMap, address};
use std::sync::Arc;

use crate::model::{Content, Frame, GreenThreads, Stack, Threads};

/// The content of a section, and its frames: the stacks in `content` hold indices into `frames`.
#[derive(Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) content: Content,
    pub(crate) frames: Vec<Frame>,
}

/// Content without stacks.
impl From<Content> for Output {
    fn from(content: Content) -> Self {
        Self { content, frames: Vec::new() }
    }
}

impl Output {
    /// Appends the frames to the report's, and returns the content with stacks that hold indices
    /// into those.
    pub(crate) fn merge_into(self, all: &mut Vec<Frame>) -> Content {
        let Self { mut content, frames } = self;
        let offset = u32::try_from(all.len()).expect("2³² frames do not fit into memory");
        if offset == 0 {
            *all = frames;
        } else if !frames.is_empty() {
            all.extend(frames);
            Renumber { offset, frames: NumberMap::default(), stacks: NumberMap::default() }
                .content(&mut content);
        }
        content
    }
}

/// Adds an offset to the indices of all stacks. Stacks that share memory share it afterwards.
struct Renumber {
    offset: u32,
    frames: NumberMap<Arc<[u32]>>,
    stacks: NumberMap<Renumbered>,
}

/// A list of stacks before and after. The old one is kept so that no other gets its address.
struct Renumbered {
    _old: Arc<[Stack]>,
    new: Arc<[Stack]>,
}

impl Renumber {
    fn content(&mut self, content: &mut Content) {
        match content {
            Content::Threads(Threads { threads, locks, .. }) => {
                for lock in locks {
                    let of_waiters = lock.waiters.iter_mut().map(|waiter| &mut waiter.frame);
                    let of_holders = lock.holders.iter_mut().map(|holder| &mut holder.frame);
                    for frame in of_waiters.chain(of_holders).flatten() {
                        *frame = frame.saturating_add(self.offset);
                    }
                }
                // Kept until all are renumbered, so that no other gets their addresses.
                let old: Vec<_> = threads.iter().map(|thread| Arc::clone(&thread.stack.frames)).collect();
                for thread in threads {
                    self.stack(&mut thread.stack);
                }
                drop(old);
            }
            Content::GreenThreads(GreenThreads { tasks, .. }) => {
                for task in tasks {
                    self.list(&mut task.stacks);
                }
            }
            Content::Panicked(panicked) => self.stack(&mut panicked.stack),
            Content::TimedOut(timed_out) => self.stack(&mut timed_out.overdue.stack),
            Content::StillRunning(overdue) => self.stack(&mut overdue.stack),
            // Groups are merged before they become part of a configuration.
            Content::Configuration(_)
            | Content::Package(_)
            | Content::Resources(_)
            | Content::Processes(_)
            | Content::Descriptors(_)
            | Content::Modules(_)
            | Content::Environment(_)
            | Content::Spans(_)
            | Content::Events(_)
            | Content::Fields(_)
            | Content::Text(_)
            | Content::Nothing
            | Content::Error(_)
            | Content::Skipped(_) => {}
        }
    }

    fn stack(&mut self, stack: &mut Stack) {
        let Self { offset, frames, .. } = self;
        let renumbered = frames.entry(address(Arc::as_ptr(&stack.frames)), || {
            stack.frames.iter().map(|index| index + *offset).collect()
        });
        stack.frames = Arc::clone(renumbered);
    }

    fn list(&mut self, list: &mut Arc<[Stack]>) {
        if let Some(Renumbered { new, .. }) = self.stacks.get(address(Arc::as_ptr(list))) {
            *list = Arc::clone(new);
            return;
        }
        let new: Arc<[Stack]> = list
            .iter()
            .cloned()
            .map(|mut stack| {
                self.stack(&mut stack);
                stack
            })
            .collect();
        let old = std::mem::replace(list, Arc::clone(&new));
        self.stacks.insert(address(Arc::as_ptr(&old)), Renumbered { _old: old, new });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Overdue;

    fn frame(address: u64) -> Frame {
        Frame { address, ..Frame::default() }
    }

    fn stuck(stack: Stack) -> Content {
        Content::StillRunning(Overdue { tid: 1, running_ms: 1, stack })
    }

    #[test]
    fn indices_follow_their_frames() {
        let output = || Output {
            content: stuck(Stack { frames: Arc::new([1, 0]), ..Stack::default() }),
            frames: vec![frame(10), frame(20)],
        };
        let mut all = Vec::new();
        let first = output().merge_into(&mut all);
        let second = output().merge_into(&mut all);
        assert_eq!(all.iter().map(|frame| frame.address).collect::<Vec<_>>(), [10, 20, 10, 20]);
        assert_eq!(first, output().content);
        assert_eq!(second, stuck(Stack { frames: Arc::new([3, 2]), ..Stack::default() }));
    }

    #[test]
    fn shared_stacks_stay_shared() {
        let mut renumber = Renumber { offset: 7, frames: NumberMap::default(), stacks: NumberMap::default() };
        let shared: Arc<[Stack]> = Arc::new([Stack { frames: Arc::new([0]), ..Stack::default() }]);
        let (mut one, mut other) = (Arc::clone(&shared), Arc::clone(&shared));
        drop(shared);
        renumber.list(&mut one);
        renumber.list(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(*one[0].frames, [7]);
    }
}
