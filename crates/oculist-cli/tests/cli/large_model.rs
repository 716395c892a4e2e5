//! Models that need more memory or time than there is: refused in a second, with a line that says how much.

use std::path::{Path, PathBuf};

use oculist_graph::{GlobalPool, Graph, GraphBuilder, MaxPool, Op, Padding};

use crate::support::runs::trained;
use crate::support::{oculist, scratch};

/// The trained model with its first convolution padded, as one wrong number in the file may do it.
fn padded(folder: &Path, padding: usize) -> PathBuf {
    let mut graph = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let first = graph.nodes().iter().position(|node| matches!(node.op, Op::Conv(_))).expect("a convolution");
    let Op::Conv(mut conv) = graph.nodes()[first].op.clone() else { unreachable!("it is one") };
    conv.window.padding = Padding::Explicit(vec![padding; 4]);
    graph.edit().set_op(first, conv);
    graph.tidy().expect("a valid graph");
    write(folder, &graph)
}

fn write(folder: &Path, graph: &Graph) -> PathBuf {
    let path = folder.join("large.onnx");
    oculist_onnx::write(graph, &path).expect("a file");
    path
}

#[test]
fn every_verb_refuses_a_model_beyond_the_memory() {
    let dir = scratch();
    // Terabytes in one value.
    let model = padded(dir.path(), 1 << 18);
    let data = &trained().data;
    let words = ["large.onnx", "needs", "TiB", "limit", "--max-memory"];
    oculist("bench").arg(&model).run().fails(1, &words);
    oculist("predict").arg(data.join("class0")).option("--model", &model).run().fails(1, &words);
    oculist("eval").arg(data).option("--model", &model).run().fails(1, &words);
    let (out, run) = (dir.path().join("out.onnx"), dir.path().join("run"));
    let call = oculist("export").arg(&model).option("--int8", data).option("--output", &out);
    call.run().fails(1, &words);
    for verb in ["optimize", "compress"] {
        let call = oculist(verb).arg(data).option("--model", &model).option("--output", &run);
        call.run().fails(1, &words);
    }
    let call = oculist("augment").arg("check").arg(data).option("--model", &model).option("--output", &run);
    call.run().fails(1, &words);
    assert!(!out.exists() && !run.exists());
}

#[test]
fn the_limit_is_an_option_of_every_verb_that_plans() {
    let dir = scratch();
    let model = trained().file("model.onnx");
    let data = &trained().data;
    let words = ["needs", "limit is 1.0 KiB", "--max-memory"];
    let bench = || oculist("bench").arg(&model).args("--seconds 0.05");
    bench().args("--max-memory 1K").run().fails(1, &words);
    bench().args("--max-memory 1G").run().ok();
    bench().args("--max-memory 0").run().fails(2, &["--max-memory", "at least one byte"]);
    let image = data.join("class0");
    oculist("predict").arg(&image).option("--model", &model).args("--max-memory 1K").run().fails(1, &words);
    oculist("eval").arg(data).option("--model", &model).args("--max-memory 1K").run().fails(1, &words);
    let (out, run) = (dir.path().join("out.onnx"), dir.path().join("run"));
    let call = oculist("export").arg(&model).option("--int8", data).option("--output", &out);
    call.args("--max-memory 1K").run().fails(1, &words);
    let train = |folder: &Path| {
        oculist("train")
            .arg(data)
            .args("--epochs 1 --arch resnet8 --image-size 16")
            .option("--output", folder)
    };
    train(&run).args("--max-memory 1K").run().fails(1, &words);
    assert!(!run.exists(), "the corrected command finds no run in its way");
    // In a file of settings too; the flag is stronger.
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, "max_memory = \"1K\"\n").expect("a file");
    let again = dir.path().join("again");
    train(&again).option("--config", &settings).run().fails(1, &words);
    let call = train(&again).option("--config", &settings).args("--max-memory 2G");
    call.run().ok();
}

/// Runs the program with no more than `kibibytes` of address space.
#[cfg(target_os = "linux")]
fn confined(mut call: crate::support::Call, kibibytes: usize) -> crate::support::Outcome {
    let inner = call.command();
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {kibibytes}; exec \"$0\" \"$@\""));
    shell.arg(inner.get_program()).args(inner.get_args());
    crate::support::Outcome::new(shell.output().expect("a shell"))
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_the_system_does_not_give_is_an_error() {
    let dir = scratch();
    // A quarter of a gibibyte in each value, which 100 GB allow and as much address space does not hold.
    let mut b = GraphBuilder::new("wide");
    let x = b.input("input", 16, 2048, 2048);
    let y = b.op("window", Op::MaxPool(MaxPool::square(2, 1, 0)), &[x]);
    let y = b.relu("relu", y);
    let y = b.op("mean", Op::GlobalPool(GlobalPool::Average), &[y]);
    let model = write(dir.path(), &b.finish(y).expect("a valid graph"));
    let call = oculist("bench").arg(&model).args("--threads 1 --max-memory 100G");
    let words = ["large.onnx", "the plan of `wide`", "MiB", "does not give"];
    confined(call, 256 << 10).fails(1, &words);
}

#[test]
fn what_fits_into_memory_but_would_take_hours_is_refused() {
    let dir = scratch();
    let mut b = GraphBuilder::new("slow");
    let x = b.input("input", 16, 2048, 2048);
    let y = b.op("window", Op::MaxPool(MaxPool::square(255, 1, 127)), &[x]);
    let y = b.op("mean", Op::GlobalPool(GlobalPool::Average), &[y]);
    let model = write(dir.path(), &b.finish(y).expect("a valid graph"));
    let words = ["large.onnx", "operations", "`window`", "hours"];
    oculist("bench").arg(&model).run().fails(1, &words);
}
