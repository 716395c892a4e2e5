//! Project tasks.

fn main() {
    println!("usage: cargo xtask test");
}
