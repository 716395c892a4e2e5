//! What is measured.

/// A group of measurements, one section of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bench {
    Train,
    Infer,
    Convolutions,
    Growth,
    Augment,
}

impl Bench {
    pub(crate) const ALL: [Self; 5] =
        [Self::Train, Self::Infer, Self::Convolutions, Self::Growth, Self::Augment];

    /// The file in docs that holds its section.
    pub(crate) fn page(self) -> &'static str {
        match self {
            Self::Augment => "benchmarks-augmentation.md",
            _ => "benchmarks.md",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Infer => "infer",
            Self::Convolutions => "convolutions",
            Self::Growth => "growth",
            Self::Augment => "augment",
        }
    }
}

/// What one case does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Train,
    F32,
    Int8,
}

/// One line of a table.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) bench: Bench,
    pub(crate) work: Work,
    pub(crate) arch: &'static str,
    pub(crate) channels: usize,
    pub(crate) side: usize,
    pub(crate) batch: usize,
    /// Instead of the number that the command line gives.
    pub(crate) threads: Option<usize>,
    /// The least ratio that the project has promised itself, where it has.
    pub(crate) floor: Option<f64>,
}

impl Case {
    fn new(bench: Bench, work: Work, arch: &'static str, side: usize, batch: usize) -> Self {
        Self { bench, work, arch, channels: 3, side, batch, threads: None, floor: None }
    }

    fn at_least(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub(crate) fn name(&self) -> String {
        let work = match self.work {
            Work::Train => "train",
            Work::F32 => "f32",
            Work::Int8 => "int8",
        };
        let threads = match self.threads {
            Some(1) => ", 1 thread".into(),
            Some(n) => format!(", {n} threads"),
            None => String::new(),
        };
        format!("{} {}x{} batch {} {work}{threads}", self.arch, self.side, self.side, self.batch)
    }
}

pub(crate) fn of(bench: Bench) -> Vec<Case> {
    match bench {
        Bench::Train => train(),
        Bench::Infer => infer(),
        Bench::Growth => growth(),
        // Their programs name the cases.
        Bench::Convolutions | Bench::Augment => Vec::new(),
    }
}

fn train() -> Vec<Case> {
    let case = |arch, side, batch| Case::new(Bench::Train, Work::Train, arch, side, batch);
    vec![
        case("resnet18", 32, 32).at_least(2.0),
        case("resnet18", 32, 128).at_least(2.0),
        case("resnet20", 32, 128).at_least(1.5),
        case("mobilenet_v2", 32, 128).at_least(1.5),
        case("mobilenet_v2", 224, 16).at_least(1.5),
        case("vgg11_bn", 32, 128),
        case("resnet18", 224, 16),
    ]
}

/// Architecture, side, larger batch, floor in f32 and in int8 (for the larger batch, and for one image).
type Inference = (&'static str, usize, usize, [Option<f64>; 2], [Option<f64>; 2]);

fn infer() -> Vec<Case> {
    const NONE: [Option<f64>; 2] = [None, None];
    let both = |f32, int8| [Some(f32), Some(int8)];
    let networks: [Inference; 7] = [
        ("resnet18", 32, 32, both(1.4, 1.2), both(1.4, 1.2)),
        ("resnet18", 224, 8, both(1.4, 1.2), both(1.4, 1.2)),
        ("resnet20", 32, 32, both(1.3, 1.0), NONE),
        ("resnet50", 224, 8, NONE, NONE),
        ("vgg11_bn", 32, 32, NONE, NONE),
        ("mobilenet_v2", 224, 8, both(1.0, 1.0), both(1.0, 1.0)),
        ("mobilenet_v3_small", 224, 8, both(1.0, 1.0), both(1.0, 1.0)),
    ];
    // Nothing in it but the first and the last layer is quantised.
    let transformer =
        [1, 8].map(|batch| Case::new(Bench::Infer, Work::F32, "vit_tiny", 224, batch).at_least(0.7));
    let mut cases = Vec::from(transformer);
    for (arch, side, large, floors, single) in networks {
        for (batch, floors) in [(1, single), (large, floors)] {
            for (work, floor) in [Work::F32, Work::Int8].into_iter().zip(floors) {
                cases.push(Case { floor, ..Case::new(Bench::Infer, work, arch, side, batch) });
            }
        }
    }
    cases
}

/// How times grow with batch, image and threads.
fn growth() -> Vec<Case> {
    let train = |side, batch| Case::new(Bench::Growth, Work::Train, "resnet18", side, batch);
    let f32 = |side, batch| Case::new(Bench::Growth, Work::F32, "resnet18", side, batch);
    let mut cases: Vec<Case> = [8, 32, 128].map(|batch| train(32, batch)).into();
    cases.extend([64, 128].map(|side| train(side, 32)));
    cases.push(Case { threads: Some(1), ..train(32, 32) });
    cases.extend([1, 8, 32].map(|batch| f32(32, batch)));
    cases.extend([64, 128, 224].map(|side| f32(side, 1)));
    cases.push(Case { threads: Some(1), ..f32(224, 1) });
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_within_a_bench() {
        for bench in Bench::ALL {
            let mut names: Vec<String> = of(bench).iter().map(Case::name).collect();
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all, "{}", bench.name());
        }
    }
}
