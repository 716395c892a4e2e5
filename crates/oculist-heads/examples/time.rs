//! Times learning a head: `cargo run --release -p oculist-heads --example time -- KIND ROWS FEATURES CLASSES THREADS`.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use oculist_heads::{HeadKind, HeadOptions, Rows, fit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(Ok(default), |a| a.parse());
    let kind: HeadKind = arguments.first().map_or("logistic", String::as_str).parse()?;
    let (rows, dim, classes, threads) = (number(1, 2000)?, number(2, 1280)?, number(3, 10)?, number(4, 2)?);
    // Correlated, positive and overlapping, as pooled activations are.
    let mut state = 1u64;
    let mut normal = move || {
        (0..4).fold(-2.0f32, |sum, _| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sum + (state >> 40) as f32 / (1u64 << 24) as f32
        }) * 1.7
    };
    let latent = 64.min(dim);
    let mixing: Vec<f32> = (0..latent * dim).map(|_| normal()).collect();
    let centres: Vec<f32> = (0..classes * latent).map(|_| normal()).collect();
    let mut values = Vec::with_capacity(rows * dim);
    let mut labels = Vec::with_capacity(rows);
    for row in 0..rows {
        let class = row % classes;
        let code: Vec<f32> = (0..latent)
            .map(|j| (0.5 * centres[class * latent + j] + normal()) / (1.0 + j as f32 / 8.0))
            .collect();
        values.extend((0..dim).map(|f| {
            let sum: f32 = code.iter().enumerate().map(|(j, c)| c * mixing[j * dim + f]).sum();
            (sum + 0.3 * normal()).max(0.0)
        }));
        labels.push(class as u32);
    }
    let options = HeadOptions { threads, ..HeadOptions::default() };
    let start = Instant::now();
    let head = fit(kind, Rows::new(&values, dim)?, &labels, classes, &options, &AtomicBool::new(false))?;
    println!("{kind}: {} in {:.2} s", head.chosen(), start.elapsed().as_secs_f64());
    Ok(())
}
