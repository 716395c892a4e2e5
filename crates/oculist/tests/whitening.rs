//! A network whose first layer is meant to whiten patches starts with that, and keeps it while it is trained.

use std::path::Path;

use oculist::{Recipe, Session, Settings};
use oculist_data::fixture::write_class_folders;

const RECIPE: &str = "[[stage]]\nkind = \"train\"\nepochs = 1\n";

/// The filters of the first convolution after training.
fn first_filters(data: &Path, arch: &str, name: &str) -> Vec<f32> {
    let settings = Settings {
        data: Some(data.display().to_string()),
        arch: Some(arch.into()),
        width: Some(0.125),
        image_size: Some(16),
        batch_size: Some(8),
        threads: Some(1),
        ..Settings::default()
    };
    let session = Session::builder(settings).open().expect("the session opens");
    let last = session.run(&Recipe::from_toml(RECIPE).expect("a recipe")).expect("a result");
    let graph = &last.model().expect("a model").graph;
    let weight = graph.find(name).unwrap_or_else(|| panic!("no `{name}`"));
    graph.param(weight).and_then(|tensor| tensor.as_f32()).expect("weights").to_vec()
}

/// Whether the second half of the filters is the first with the other sign.
fn is_mirrored(filters: &[f32]) -> bool {
    let (plus, minus) = filters.split_at(filters.len() / 2);
    plus.iter().zip(minus).all(|(a, b)| *a == -b)
}

#[test]
fn the_whitening_is_there_after_training() {
    let folder = tempfile::tempdir().expect("a folder");
    write_class_folders(folder.path(), "", 3, 20, 16).expect("images");
    assert!(is_mirrored(&first_filters(folder.path(), "airbench", "whiten.weight")));
    // The twin: what starts at random and is trained is not.
    assert!(!is_mirrored(&first_filters(folder.path(), "resnet8", "conv1.weight")));
}
