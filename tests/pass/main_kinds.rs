//! Every form of `main` without a runtime, in a module each, since a program has one `main`.

mod unit {
    #[gmr::main]
    pub fn main() {}
}

mod result {
    #[gmr::main()]
    pub fn main() -> Result<(), Box<dyn std::error::Error>> {
        Err("shown by the caller")?;
        Ok(())
    }
}

mod exit_code {
    #[gmr::main(version = env!("CARGO_PKG_NAME"), product = String::from("owned"),)]
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}

mod termination {
    const VENDOR: &str = "ACME";

    #[gmr::main(vendor = VENDOR, signal = "usr1", poll_tasks = false, mask(keys("internal_code", "x-id"), show("color"),))]
    pub fn main() -> impl std::process::Termination {
        #![allow(unused_variables)]
        let builder = 1;
    }
}

#[gmr::main(signal = 12, product = { let builder = " hygienic"; builder.trim() })]
fn main() {
    use std::process::Termination as _;
    unit::main();
    result::main().unwrap_err();
    let _ = exit_code::main();
    let _ = termination::main().report();
}
