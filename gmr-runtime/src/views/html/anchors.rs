//! The ids of the page's elements, for links within the page.

pub(super) fn section(index: usize) -> String {
    format!("section-{index}")
}

pub(super) fn thread(tid: u32) -> String {
    format!("thread-{tid}")
}

pub(super) fn task(id: u64) -> String {
    format!("task-{id}")
}
