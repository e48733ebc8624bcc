//! What is shown of a stack: frames, and how many are omitted.

use std::borrow::Cow;

use super::kinds::Known;
use crate::sys::sort;
use crate::views::owner::library;

/// A part of a stack as it is shown.
#[derive(Debug, Clone)]
pub(in crate::views) enum Part<'a> {
    Frame(&'a Known<'a>),
    /// A frame that is so many times in a row: a recursion.
    Repeated(&'a Known<'a>, usize),
    /// An async block that an attribute has made of the body of the task's function.
    OwnBody(&'a Known<'a>),
    Omitted(Omitted<'a>),
}

impl<'a> Part<'a> {
    pub(in crate::views) fn frame(&self) -> Option<&'a Known<'a>> {
        match self {
            Self::Frame(frame) | Self::Repeated(frame, _) | Self::OwnBody(frame) => Some(frame),
            Self::Omitted(_) => None,
        }
    }

    /// How many frames of the stack it stands for.
    pub(in crate::views) fn frames(&self) -> usize {
        match self {
            Self::Frame(_) | Self::OwnBody(_) => 1,
            Self::Repeated(_, times) => *times,
            Self::Omitted(omitted) => omitted.frames,
        }
    }
}

/// The most crates that are told apart: more than any stack has.
const MAX_CRATES: usize = 64;

/// Frames that are omitted at one place of a stack.
#[derive(Debug, Clone, Default)]
pub(in crate::views) struct Omitted<'a> {
    pub(in crate::views) frames: usize,
    /// Whose they are, the crate with the most frames first.
    pub(in crate::views) crates: Vec<Cow<'a, str>>,
}

impl<'a> Omitted<'a> {
    pub(super) fn of(frames: impl IntoIterator<Item = &'a Known<'a>>) -> Self {
        let mut counts: Vec<(Cow<'a, str>, usize)> = Vec::new();
        let mut all = 0;
        for known in frames {
            all += 1;
            let name = if known.kind().is_gmr { Cow::Borrowed("gmr") } else { library(known.frame) };
            match counts.iter().position(|(other, _)| *other == name) {
                Some(place) => counts[place].1 += 1,
                // Each frame is compared with all of them.
                None if counts.len() == MAX_CRATES => {}
                None => counts.push((name, 1)),
            }
        }
        sort::by_key(&mut counts, |(_, count)| std::cmp::Reverse(*count));
        Self { frames: all, crates: counts.into_iter().map(|(name, _)| name).collect() }
    }
}
