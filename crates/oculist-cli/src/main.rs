//! The command line of Oculist.

fn main() {
    println!("oculist");
}
