//! For benchmarks only, compiled with the feature `__bench`: one stack copy that can be unwound
//! repeatedly.

#![allow(unsafe_code)]

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::handler::{Answer, Envelope, Extent, Progress, TABLE};
use super::signals;
pub(crate) use super::timing::take_times;
use super::unwind::{Shared, Unwinder};
use crate::capture::Trace;
use crate::sys::Modules;
use crate::sys::linux::copy;

/// A copy of one stack, and what is needed to unwind it.
pub(crate) struct Specimen {
    pub(crate) modules: Modules,
    unwinder: Unwinder,
    answer: Answer,
    copy: Vec<u8>,
}

impl Specimen {
    /// Captures the stack of a thread that can answer. Must not run while a report is made: it uses
    /// a slot without locking the capture.
    pub(crate) fn of_thread(tid: u32) -> Self {
        signals::prepare(None).expect("a real-time signal is free");
        let mut copy = vec![0; 32 << 10];
        let answer = request(tid, &mut copy);
        copy.truncate(answer.copied);
        let modules = Modules::load();
        Self { unwinder: Unwinder::new(&Shared::new(modules.all())), modules, answer, copy }
    }

    pub(crate) fn unwind(&mut self) -> Trace {
        self.unwinder.unwind(self.answer.registers, &[(self.answer.registers.sp(), &self.copy)]).into_trace()
    }
}

fn request(tid: u32, copy: &mut [u8]) -> Answer {
    let (slot, envelope) = (&TABLE[0], Envelope { ticket: u32::MAX, slot: 0 });
    // SAFETY: the buffer is borrowed exclusively until the loop below, which has no timeout, has
    // seen DONE.
    unsafe {
        let extent = Extent::from_stack_pointer(copy.len());
        slot.lend(envelope.ticket, tid.cast_signed(), copy.as_mut_ptr(), &extent);
    }
    let signal = signals::capture_signal().expect("it has been claimed");
    let sender = (copy::PID.load(Ordering::Relaxed), rustix::process::getuid().as_raw());
    signals::send(sender, tid.cast_signed(), signal, envelope.encode()).expect("the thread is running");
    loop {
        if let Progress::Done(answer) = slot.progress() {
            slot.release();
            return answer;
        }
        thread::sleep(Duration::from_micros(100));
    }
}
