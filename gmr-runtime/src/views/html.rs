use std::io;
pub(super) fn write(_: &crate::model::Report, _: super::Detail, _: &mut dyn io::Write) -> io::Result<()> {
    Ok(())
}
