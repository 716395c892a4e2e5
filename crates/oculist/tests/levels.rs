//! Levels of a search over prunings continue from the strongest one that was accepted.

use std::path::Path;

use oculist::{Candidate, Recipe, Session, Settings};
use oculist_data::fixture::write_class_folders;

/// A search of three levels, of which the second comes first: it tries 60% and then 40%.
const SEARCH: &str = r#"
    [[stage]]
    kind = "search"
    target = "size"
    max_drop = 100.0
    levels = [0.8, 0.6, 0.4]
    stages = [{ kind = "prune" }, { kind = "fine-tune", epochs = 1 }]
"#;

fn run(data: &Path, recipe: &str) -> Candidate {
    let settings = Settings {
        data: Some(data.display().to_string()),
        arch: Some("resnet8".into()),
        image_size: Some(16),
        batch_size: Some(8),
        threads: Some(1),
        ..Settings::default()
    };
    let session = Session::builder(settings).open().expect("the session opens");
    session.run(&Recipe::from_toml(recipe).expect("a recipe")).expect("a result")
}

fn parameters(candidate: &Candidate) -> f64 {
    candidate.cost.as_ref().expect("a cost").params as f64
}

#[test]
fn a_stronger_level_goes_on_from_the_one_that_was_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    write_class_folders(folder.path(), "", 3, 20, 16).expect("images");
    let train = "[[stage]]\nkind = \"train\"\nepochs = 1\n";
    let last = run(folder.path(), &format!("{train}{SEARCH}"));
    assert_eq!((last.label.as_str(), last.keep), ("prune-40", Some(0.4)));
    // The baseline, pruned to 60%, fine-tuned, pruned to 40%, fine-tuned.
    let shares: Vec<Option<f64>> = last.lineage().map(|c| c.keep).collect();
    let first = [Some(0.4), Some(0.4), Some(0.6), Some(0.6), None];
    assert!(shares.starts_with(&first), "{shares:?}");
    let baseline = last.lineage().nth(4).expect("the baseline");
    let share = parameters(&last) / parameters(baseline);
    assert!((0.33..0.47).contains(&share), "{share}: 40% of the baseline and not of what was left of it");
    // The table of layers tells of both prunings: channels that it begins with are the network's.
    let before: usize = last.widths.iter().map(|layer| layer.before).sum();
    let at_sixty = last.lineage().nth(2).expect("the weaker level");
    assert_eq!(before, at_sixty.widths.iter().map(|layer| layer.before).sum::<usize>());
    let after = |c: &Candidate| c.widths.iter().map(|layer| layer.after).sum::<usize>();
    assert!(after(&last) < after(at_sixty));

    // Levels are shares of what the search begins with, also where that was pruned.
    let pruned = "[[stage]]\nkind = \"prune\"\nkeep = 0.7\n[[stage]]\nkind = \"fine-tune\"\nepochs = 1\n";
    let twice = run(folder.path(), &format!("{train}{pruned}{SEARCH}"));
    assert_eq!((twice.label.as_str(), twice.keep), ("prune-40", Some(0.4)));
}
