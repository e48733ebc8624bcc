//! For platforms on which the command `gmr report` does not find files.

/// A file; never constructed on this platform.
#[derive(Debug)]
pub(crate) struct Offered;

impl Offered {
    /// Always fails.
    pub(crate) fn create(_name: &str) -> Result<Self, String> {
        Err("this platform has no memory files".to_owned())
    }

    /// Never called.
    pub(crate) fn write(&mut self, _bytes: &[u8]) {}

    /// As above.
    pub(crate) fn end(&self) {}
}
