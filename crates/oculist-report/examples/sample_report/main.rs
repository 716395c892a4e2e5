//! Writes a report page filled with invented numbers, clearly marked as a sample.
//!
//! `cargo run --release -p oculist-report --example sample_report -- out.html [CLASSES]`

mod sample_run;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().unwrap_or_else(|| "sample-report.html".to_string()));
    let classes = arguments.next().map_or(Ok(10), |n| n.parse())?;
    let run = sample_run::sample_run(classes);
    std::fs::write(&path, oculist_report::render_html(&run)?)?;
    println!("{}", oculist_report::terminal::before_after(&run));
    println!("{}", oculist_report::terminal::steps(&run));
    println!("wrote {}", path.display());
    Ok(())
}
