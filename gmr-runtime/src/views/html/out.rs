//! Where a page is written, piece by piece: a document can make a page that is many times as long as
//! itself, and no more than a row or a frame of it is kept in memory.

use std::io;

use maud::{Markup, PreEscaped, html};

use crate::views::escape::pieces;
use crate::views::room::{Room, not_shown};

/// Marks the place in a template of what is written on its own. Data cannot contain it: angle
/// brackets are escaped.
pub(super) const PLACEHOLDER: PreEscaped<&str> = PreEscaped("<placeholder>");

pub(super) type Written = io::Result<()>;

/// The page as far as it is written. What is added takes room.
pub(super) struct Out<'a> {
    bytes: &'a mut dyn io::Write,
    room: &'a Room,
    #[cfg(feature = "json")]
    written: usize,
}

impl<'a> Out<'a> {
    pub(super) fn new(bytes: &'a mut dyn io::Write, room: &'a Room) -> Self {
        Self {
            bytes,
            room,
            #[cfg(feature = "json")]
            written: 0,
        }
    }

    /// How many bytes are written, without what was written as [`bytes`](Self::bytes).
    #[cfg(feature = "json")]
    pub(super) fn written(&self) -> usize {
        self.written
    }

    pub(super) fn room(&self) -> &'a Room {
        self.room
    }

    /// What is in each page or has a limit of its own: it takes no room.
    pub(super) fn write(&mut self, markup: &str) -> Written {
        #[cfg(feature = "json")]
        {
            self.written += markup.len();
        }
        self.bytes.write_all(markup.as_bytes())
    }

    /// What takes the bytes of the page.
    #[cfg(feature = "json")]
    pub(super) fn bytes(&mut self) -> &mut dyn io::Write {
        self.bytes
    }

    pub(super) fn add(&mut self, markup: &Markup) -> Written {
        self.push(&markup.0)
    }

    fn push(&mut self, markup: &str) -> Written {
        self.room.spend(markup.len());
        self.write(markup)
    }

    /// Adds a template, with what `inside` adds in its placeholder.
    pub(super) fn around(&mut self, template: &Markup, inside: impl FnOnce(&mut Self) -> Written) -> Written {
        let (before, after) = template.0.split_once(PLACEHOLDER.0).unwrap_or((template.0.as_str(), ""));
        self.push(before)?;
        inside(self)?;
        self.push(after)
    }

    /// Adds text in a template's placeholder.
    pub(super) fn text_in(&mut self, template: &Markup, text: &str) -> Written {
        self.around(template, |out| out.text(text))
    }

    pub(super) fn text(&mut self, text: &str) -> Written {
        pieces(text).try_for_each(|piece| self.add(&html! { (piece) }))
    }

    /// One row for each item, as long as there is room, then how many are not shown.
    pub(super) fn rows<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        noun: &str,
        show: impl FnMut(&mut Self, T) -> Written,
    ) -> Written {
        self.entries(items, show, |left| html! { p.note { (not_shown(left, noun)) } })
    }

    /// The same with other markup for what is not shown.
    pub(super) fn entries<T>(
        &mut self,
        mut items: impl Iterator<Item = T>,
        mut show: impl FnMut(&mut Self, T) -> Written,
        more: impl FnOnce(usize) -> Markup,
    ) -> Written {
        while let Some(item) = items.next() {
            if !self.room.take_row() {
                return self.add(&more(1 + items.count()));
            }
            show(self, item)?;
        }
        Ok(())
    }
}
