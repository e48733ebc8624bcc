mod diagnostics {
    pub use gmr as reports;
}

#[diagnostics::reports::main(crate = diagnostics::reports, format = "html")]
fn main() {}
