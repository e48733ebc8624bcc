//! stub
#![allow(missing_docs, clippy::all, unused_variables, unused_mut, dead_code)]
use std::borrow::Cow;
#[derive(Debug, Default)]
pub struct Builder {}
#[derive(Debug)]
pub struct Guard {}
impl Builder {
    pub fn new() -> Self { Self {} }
    pub fn product(mut self, product: impl Into<Cow<'static, str>>) -> Self { self }
    pub fn vendor(mut self, vendor: impl Into<Cow<'static, str>>) -> Self { self }
    pub fn version(mut self, version: impl Into<Cow<'static, str>>) -> Self { self }
    pub fn signal(mut self, signal: impl Into<Cow<'static, str>>) -> Self { self }
    pub fn debug_assertions(mut self, on: bool) -> Self { self }
    pub fn install(self) -> Result<Guard, crate::Error> { Ok(Guard {}) }
}
pub fn arm(builder: Builder) {}
