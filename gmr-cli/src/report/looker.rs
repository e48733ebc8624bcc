//! Looks at a process again and again: small reports of its threads and tasks. A look costs the process
//! little: it reads no thread again that has not run, and makes no findings. A whole report can be had in
//! between.
//!
//! One look at a time. The process keeps the file of a look until the next one, for two seconds at
//! most.

use gmr_runtime::__cli::Attach;
use gmr_runtime::Report;
use gmr_runtime::model::Content;

use super::target::Target;
use super::{attach, named};

/// What all looks of this command have in common.
const COMMANDS: u32 = 0xffff_0000;

pub(crate) struct Looker {
    target: Target,
    without_tasks: bool,
    /// Of the last look. Its upper half stays.
    token: u32,
    /// The thread of the process that had the file of the last look.
    thread: Option<u32>,
}

impl Looker {
    /// For the process that an argument names. Nothing is sent to it.
    ///
    /// # Errors
    /// It can't be asked, for this reason.
    pub(crate) fn new(argument: &str, without_tasks: bool) -> Result<Self, String> {
        let target = Target::for_looks(named::find(argument)?)?;
        Ok(Self { target, without_tasks, token: attach::token(), thread: None })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// A report with all that `gmr report` has.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(crate) fn whole(&self) -> Result<Report, String> {
        super::ask(&self.target, self.without_tasks)
    }

    /// A report that has the sections Threads and Green Threads only, unless the program has left
    /// them out.
    ///
    /// # Errors
    /// There is none this time, for this reason. If the process [has ended](Target::has_ended), there
    /// will be none.
    pub(crate) fn look(&mut self) -> Result<Report, String> {
        self.token = self.token & COMMANDS | self.token.wrapping_add(1) & !COMMANDS;
        let Self { target, without_tasks, token, thread } = self;
        let (without_tasks, token) = (*without_tasks, *token);
        let attach = Attach { is_json: true, without_tasks, is_look: true, token };
        let offered = attach::request_from(target, attach, thread.take())?;
        *thread = Some(offered.tid);
        let mut report = offered.report(target)?;
        // It is a whole report if somebody else has wanted one at the same time.
        report.sections.retain(|section| match section.content {
            Content::GreenThreads(_) => !without_tasks,
            Content::Threads(_) => true,
            // Why one of them is missing.
            _ => section.title == "Threads" || section.title == "Green Threads" && !without_tasks,
        });
        report.findings.clear();
        Ok(report)
    }
}

#[cfg(test)]
mod tests;
