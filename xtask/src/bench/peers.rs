//! The programs that take part: ours, and those of the peers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Options;
use super::cases::{Bench, Case, Work};
use super::instructions::{Instructions, restrain};
use crate::machine;
use crate::{process, venv, workspace};

/// Where the programs lie.
#[derive(Debug)]
pub(crate) struct Peers {
    ours: PathBuf,
    /// What ours computes with.
    pub(crate) instructions: Instructions,
    others: Option<Others>,
    /// Exported models, made once for each architecture and size.
    models: PathBuf,
    exported: RefCell<BTreeMap<(&'static str, usize), PathBuf>>,
}

#[derive(Debug)]
struct Others {
    python: PathBuf,
    /// Built only for the benches that want them.
    rust: Option<PathBuf>,
    burn: Option<PathBuf>,
}

impl Peers {
    /// Builds our program and, if asked, the peers' environment and programs.
    pub(crate) fn prepare(options: &Options, instructions: Instructions) -> Result<Self> {
        let target = workspace::target()?;
        println!("==> our program");
        process::run(
            Command::new(workspace::cargo())
                .args(["build", "--release", "--quiet", "--package", "oculist-bench"])
                .current_dir(workspace::root()),
        )?;
        let others = if options.peers {
            println!("==> peers: Python");
            let python = venv::ensure_from("peers-venv", &folder("python").join("requirements.txt"))?;
            let wanted = |benches: &[Bench]| options.benches.iter().any(|b| benches.contains(b));
            let rust = wanted(&[Bench::Infer, Bench::Growth]).then(|| build("rust", "rust-peers"));
            let burn = wanted(&[Bench::Train, Bench::Growth]).then(|| build("burn", "burn-peer"));
            Some(Others { python, rust: rust.transpose()?, burn: burn.transpose()? })
        } else {
            None
        };
        let models = target.join("bench");
        fs::create_dir_all(&models).with_context(|| models.display().to_string())?;
        let ours = target.join("release").join("oculist-bench");
        Ok(Self { ours, instructions, others, models, exported: RefCell::default() })
    }

    /// Our program for a case.
    pub(crate) fn ours(&self, case: &Case, options: &Options) -> Result<Command> {
        let mut command = Command::new(&self.ours);
        let threads = case.threads.unwrap_or(options.threads);
        match case.work {
            Work::Train => command.args(["train", case.arch]).args(training(case, threads)),
            Work::F32 | Work::Int8 => {
                let suffix = if case.work == Work::Int8 { ".int8" } else { "" };
                let model = self.exported(case)?.join(format!("{}{suffix}.onnx", case.arch));
                command.arg("infer").arg(model).args([case.batch, threads].map(|n| n.to_string()))
            }
        };
        command.args(&options.isa);
        Ok(command)
    }

    /// Our program, to be told anything else.
    pub(crate) fn our_program(&self) -> Command {
        Command::new(&self.ours)
    }

    /// A folder for a bench's files.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.models.join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A Python script of the peers; `None` without peers.
    pub(crate) fn script(&self, name: &str, options: &Options) -> Option<Command> {
        let others = self.others.as_ref()?;
        let mut command = Command::new(&others.python);
        command.arg("-B").arg(folder("python").join(name));
        restrain(&mut command, options.threads, options.isa.as_deref());
        Some(command)
    }

    /// The peers' programs for a case, with the names that tables give them.
    pub(crate) fn of(&self, case: &Case, options: &Options) -> Result<Vec<(&'static str, Command)>> {
        let Some(others) = &self.others else { return Ok(Vec::new()) };
        let threads = case.threads.unwrap_or(options.threads);
        if case.work == Work::Train {
            let mut programs = Vec::new();
            for layout in ["nchw", "channels-last", "compile"] {
                if let Some(mut command) = self.script("torch_train.py", options) {
                    command.args([layout, case.arch]).args(training(case, threads));
                    let name = match layout {
                        "nchw" => "PyTorch NCHW",
                        "channels-last" => "PyTorch channels-last",
                        _ => "torch.compile",
                    };
                    programs.push((name, command));
                }
            }
            if let Some(burn) = &others.burn {
                let mut burn = Command::new(burn);
                burn.args(["train", case.arch]).args(training(case, threads));
                restrain(&mut burn, options.threads, options.isa.as_deref());
                programs.push(("Burn", burn));
            }
            return Ok(programs);
        }
        let model = self.model_of_peers(case, options)?;
        let numbers = [case.batch, threads].map(|n| n.to_string());
        let mut programs = Vec::new();
        // MNN and ncnn convert the f32 file, and quantise it, themselves.
        let float = self.float(case)?;
        let runtimes = [
            ("ONNX Runtime", "onnxruntime", &model),
            ("OpenVINO", "openvino", &model),
            ("MNN", "mnn", &float),
            ("ncnn", "ncnn", &float),
        ];
        let precision = if case.work == Work::Int8 { "int8" } else { "f32" };
        for (name, runtime, model) in runtimes {
            if let Some(mut command) = self.script("runtimes.py", options) {
                command.arg(runtime).arg(model).args(&numbers).arg(precision);
                programs.push((name, command));
            }
        }
        if let Some(rust) = &others.rust {
            for name in ["rten", "tract"] {
                let mut command = Command::new(rust);
                command.arg(name).arg(&model).args(&numbers);
                programs.push((name, command));
            }
        }
        Ok(programs)
    }

    /// The folder with a network's files, exported if that has not been done yet.
    fn exported(&self, case: &Case) -> Result<PathBuf> {
        let key = (case.arch, case.side);
        if let Some(path) = self.exported.borrow().get(&key) {
            return Ok(path.clone());
        }
        let path = self.models.join(format!("{}-{}", case.arch, case.side));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        let mut command = Command::new(&self.ours);
        command
            .args(["export", case.arch])
            .args([case.channels, case.side].map(|n| n.to_string()))
            .arg(&path);
        process::output(&mut command).with_context(|| format!("`{}` failed", process::show(&command)))?;
        self.exported.borrow_mut().insert(key, path.clone());
        Ok(path)
    }

    /// The f32 file as we wrote it.
    fn float(&self, case: &Case) -> Result<PathBuf> {
        Ok(self.exported(case)?.join(format!("{}.onnx", case.arch)))
    }

    /// The f32 file as we wrote it, or ONNX Runtime's int8 form of it.
    fn model_of_peers(&self, case: &Case, options: &Options) -> Result<PathBuf> {
        let float = self.float(case)?;
        if case.work == Work::F32 {
            return Ok(float);
        }
        // A peer that is held to AVX2 adds products of bytes as a processor without VNNI does.
        let narrow = self.instructions.are_limited() || !machine::has_vnni();
        let (reduce, suffix) = if narrow { ("1", "peers-int7") } else { ("0", "peers-int8") };
        let int8 = float.with_file_name(format!("{}.{suffix}.onnx", case.arch));
        if is_older(&int8, &float)
            && let Some(mut command) = self.script("quantize.py", options)
        {
            command.arg(&float).arg(&int8).arg(reduce);
            process::output(&mut command).with_context(|| format!("`{}` failed", process::show(&command)))?;
        }
        Ok(int8)
    }
}

fn is_older(path: &Path, than: &Path) -> bool {
    let time = |p: &Path| fs::metadata(p).and_then(|m| m.modified()).ok();
    time(path).is_none_or(|t| time(than).is_some_and(|other| t < other))
}

fn training(case: &Case, threads: usize) -> [String; 4] {
    [case.channels, case.side, case.batch, threads].map(|n| n.to_string())
}

fn folder(name: &str) -> PathBuf {
    workspace::root().join("peers").join(name)
}

/// Builds a package of the peers, which is a workspace of its own.
fn build(name: &str, binary: &str) -> Result<PathBuf> {
    println!("==> peers: {name}");
    let target = workspace::target()?.join("peers").join(name);
    process::run(
        Command::new(workspace::cargo())
            .args(["build", "--release", "--quiet", "--locked", "--bin", binary])
            .env("CARGO_TARGET_DIR", &target)
            .current_dir(folder(name)),
    )?;
    Ok(target.join("release").join(binary))
}
