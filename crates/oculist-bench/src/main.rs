//! Our side of `cargo xtask bench`: `oculist-bench JOB ARGUMENTS`, a process that times its job when told to.
//!
//! The peers' programs (folder `peers`) speak the same protocol, described in [`server`], so that the benchmark can
//! let all of them take turns. Weights and inputs come from the formula of the golden files, which the peers compute
//! too: the benchmark compares losses and logits before it believes any time.
#![allow(clippy::print_stdout, reason = "a program that answers on standard output")]

mod accuracy;
mod augment;
mod convolutions;
mod inference;
mod memory;
mod networks;
mod server;
mod training;
mod vit;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

/// Keeps freed memory: the system's allocator gives the buffer of every decoded or augmented image back, and the next
/// one pays page faults for it again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
use oculist_kernels::Isa;

const USAGE: &str = "usage: oculist-bench train ARCH CHANNELS SIDE BATCH THREADS [ISA]
       oculist-bench infer MODEL.onnx BATCH THREADS [ISA]
       oculist-bench export ARCH CHANNELS SIDE FOLDER
       oculist-bench convolutions THREADS [ISA]
       oculist-bench augment FOLDER [ISA]
       oculist-bench augment-images FOLDER
       oculist-bench accuracy FOLDER EPOCHS THREADS SEED [--no-winograd] [ISA]

train, infer and augment answer the benchmark's protocol on standard input and output; export writes ARCH.onnx (f32) and
ARCH.int8.onnx; augment-images writes the images that augment reads; convolutions prints the speed of every convolution shape as JSON; accuracy
trains ResNet-20 on the IDX files of Fashion-MNIST and prints test top-1 and seconds after every epoch.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["train", arch, channels, side, batch, threads, isa @ ..] => {
            let input = (number(channels)?, number(side)?, number(side)?);
            training::run(arch, input, number(batch)?, number(threads)?, instruction_set(isa)?)
        }
        ["infer", model, batch, threads, isa @ ..] => {
            inference::run(Path::new(model), number(batch)?, number(threads)?, instruction_set(isa)?)
        }
        ["export", arch, channels, side, folder] => {
            networks::export(arch, (number(channels)?, number(side)?, number(side)?), Path::new(folder))
        }
        ["convolutions", threads, isa @ ..] => convolutions::run(number(threads)?, instruction_set(isa)?),
        ["augment", folder, isa @ ..] => {
            Isa::limit(instruction_set(isa)?);
            augment::run(Path::new(folder))
        }
        ["augment-images", folder] => augment::write_images(Path::new(folder)),
        ["accuracy", folder, epochs, threads, seed, rest @ ..] => {
            let (winograd, isa) = match rest {
                ["--no-winograd", isa @ ..] => (false, isa),
                isa => (true, isa),
            };
            let seed = seed.parse().with_context(|| format!("expected a seed, found `{seed}`"))?;
            let (epochs, threads, isa) = (number(epochs)?, number(threads)?, instruction_set(isa)?);
            accuracy::run(Path::new(folder), accuracy::Job { epochs, threads, seed, isa, winograd })
        }
        _ => bail!("{USAGE}"),
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse().ok().filter(|n| *n > 0).with_context(|| format!("expected a number above 0, found `{text}`"))
}

/// The instruction set named, or the best of this machine.
fn instruction_set(words: &[&str]) -> Result<Isa> {
    match words {
        [] => Ok(Isa::detect()),
        [name] => {
            let available = Isa::available();
            let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
            let found = available.iter().find(|isa| isa.name() == *name);
            found.copied().with_context(|| format!("expected one of {}, found `{name}`", names.join(", ")))
        }
        _ => bail!("{USAGE}"),
    }
}
