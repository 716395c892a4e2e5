//! A session trains on the engine that it is given, through all stages that train.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oculist::engine::{Cpu, Engine, Learner, Setup, TrainError};
use oculist::graph::Graph;
use oculist::{Candidate, Context, OculistError, Recipe, Session, Settings};
use oculist_data::fixture::write_class_folders;

/// Counts what is asked of the CPU; refuses to load more learners than it may.
#[derive(Debug)]
struct Counting {
    cpu: Cpu,
    loads: Arc<AtomicUsize>,
    most: usize,
}

impl Engine for Counting {
    fn identity(&self) -> String {
        format!("counting, {}", self.cpu.identity())
    }

    fn check(&self, graph: &Graph, rows: usize) -> Result<usize, TrainError> {
        self.cpu.check(graph, rows)
    }

    fn load(&self, graph: &Graph, setup: &Setup<'_>) -> Result<Box<dyn Learner>, TrainError> {
        if self.loads.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(TrainError::Engine {
                engine: "counting".into(),
                source: "no learner is left".into(),
            });
        }
        self.cpu.load(graph, setup)
    }
}

const RECIPE: &str = r#"
    [[stage]]
    kind = "train"
    epochs = 1

    [[stage]]
    kind = "prune"
    keep = 0.7

    [[stage]]
    kind = "fine-tune"
    epochs = 1
"#;

/// Runs the recipe; `most` learners may be loaded by an engine of one's own, or the session's own engine does it.
fn run(data: &Path, most: Option<usize>) -> (Result<Candidate, OculistError>, usize) {
    let settings = Settings {
        data: Some(data.display().to_string()),
        arch: Some("resnet8".into()),
        image_size: Some(16),
        batch_size: Some(8),
        threads: Some(1),
        ..Settings::default()
    };
    let loads = Arc::new(AtomicUsize::new(0));
    let mut builder = Session::builder(settings);
    if let Some(most) = most {
        let cpu = Cpu::new(Arc::new(Context::new(1).expect("one thread")));
        builder = builder.engine(Counting { cpu, loads: loads.clone(), most });
    }
    let session = builder.open().expect("the session opens");
    let recipe = Recipe::from_toml(RECIPE).expect("a recipe");
    let last = session.run(&recipe);
    (last, loads.load(Ordering::Relaxed))
}

#[test]
fn all_training_goes_through_the_engine_of_the_session() {
    let folder = tempfile::tempdir().expect("a folder");
    write_class_folders(folder.path(), "", 3, 20, 16).expect("images");
    let (own, none) = run(folder.path(), None);
    let (given, loads) = run(folder.path(), Some(usize::MAX));
    // Two trainings and the gradients that choose channels.
    assert_eq!((none, loads), (0, 3));
    let (own, given) = (own.expect("a result"), given.expect("a result"));
    assert_eq!(own.val, given.val);

    // The twin: where the engine gives nothing, nothing is trained by another.
    let (refused, loads) = run(folder.path(), Some(2));
    let error = refused.expect_err("no learner is left for fine-tuning").to_string();
    assert!(error.contains("the engine `counting` failed: no learner is left"), "{error}");
    assert_eq!(loads, 3);
}
