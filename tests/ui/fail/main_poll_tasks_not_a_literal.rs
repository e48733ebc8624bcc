const POLL: bool = false;

#[gmr::main(poll_tasks = POLL)]
fn main() {}
