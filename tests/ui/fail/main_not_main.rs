#[gmr::main]
fn serve() {}

fn main() {
    serve();
}
