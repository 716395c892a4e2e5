use super::*;

/// The attributes of the example, of which one is replaced.
fn with(name: &str, value: impl Into<Attribute>) -> Result<TreeEnsembleClassifier, String> {
    let example = TreeEnsembleClassifier::examples().remove(0);
    let mut all: Vec<(String, Attribute)> =
        example.attributes().into_iter().map(|(n, v)| (n.to_owned(), v)).filter(|(n, _)| n != name).collect();
    all.push((name.to_owned(), value.into()));
    let written =
        Written { domain: "ai.onnx.ml", name: "TreeEnsembleClassifier", opset: 17, inputs: 1, outputs: 2 };
    let mut attributes = Attributes::new(all)?;
    let op = TreeEnsembleClassifier::read(&written, &mut attributes)?;
    match attributes.unread() {
        Some(name) => Err(format!("{name} is not read")),
        None => Ok(op),
    }
}

#[test]
fn the_example_is_read_as_it_is_written() {
    let example = TreeEnsembleClassifier::examples().remove(0);
    assert_eq!(with("post_transform", "NONE"), Ok(example.clone()));
    assert_ne!(with("post_transform", "SOFTMAX"), Ok(example));
}

#[test]
fn rows_end_in_the_leaf_that_the_tests_say() {
    let example = TreeEnsembleClassifier::examples().remove(0);
    let vote = |class, weight| Vote { class, weight };
    assert_eq!(example.trees().leaf(0, &[0.1, 9.0]), [vote(0, 0.5)]);
    assert_eq!(example.trees().leaf(0, &[0.2, -0.2]), [vote(1, 0.25), vote(2, 0.25)]);
    assert_eq!(example.trees().leaf(0, &[f32::NAN, 9.0]), [vote(2, 0.5)], "a NaN fails");
}

#[test]
fn malformed_attributes_are_errors() {
    let cases: [(&str, Attribute, &str); 19] = [
        ("nodes_truenodeids", vec![0, 0, 3, 0, 0, 1, 0, 0].into(), "root"),
        ("nodes_truenodeids", vec![2, 0, 3, 0, 0, 1, 0, 0].into(), "another node leads to"),
        ("nodes_truenodeids", vec![1, 0, 0, 0, 0, 1, 0, 0].into(), "root"),
        ("nodes_truenodeids", vec![9, 0, 3, 0, 0, 1, 0, 0].into(), "node 9, which is not there"),
        ("nodes_falsenodeids", vec![-1, 0, 4, 0, 0, 2, 0, 0].into(), "node -1, which is not there"),
        ("nodes_modes", vec!["LEAF".to_owned(); 8].into(), "not reached"),
        ("nodes_modes", vec!["BRANCH".to_owned(); 8].into(), "`BRANCH`"),
        ("nodes_modes", vec!["LEAF".to_owned(); 7].into(), "expected 7"),
        ("nodes_modes", "LEAF".into(), "a list of texts"),
        ("nodes_values", vec![0.0f32; 3].into(), "has 3 entries, expected 8"),
        ("nodes_nodeids", vec![0, 1, 2, 3, 3, 0, 1, 2].into(), "two nodes 3"),
        ("nodes_featureids", vec![0, 0, -1, 0, 0, 1, 0, 0].into(), "feature -1"),
        ("class_ids", vec![0, 1, 2, 2, 1, 0, 3].into(), "class 3 of 3"),
        ("class_ids", vec![0, 1, 2, 2, 1, 0, i64::MIN].into(), "of 3"),
        ("class_ids", vec![0].into(), "expected 7"),
        ("class_nodeids", vec![1, 3, 3, 4, 1, 2, 8].into(), "node 8 of tree 1, which is not there"),
        ("class_nodeids", vec![0, 3, 3, 4, 1, 2, 2].into(), "is a test and has votes"),
        ("base_values", vec![1.0f32].into(), "for each of 3 classes, found 1"),
        ("post_transform", "PROBIT".into(), "`PROBIT`"),
    ];
    for (name, value, expected) in cases {
        let error = with(name, value).unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let empty: Vec<i64> = Vec::new();
    assert!(with("classlabels_int64s", empty).unwrap_err().contains("two classes or more"));
    assert!(with("classlabels_strings", Attribute::Texts(vec![])).unwrap_err().contains("texts"));
}

#[test]
fn two_classes_need_votes_for_both() {
    let leaf = |class| vec![(Branch::Leaf, vec![Vote { class, weight: 1.0 }])];
    let forest = |trees: Vec<Vec<(Branch, Vec<Vote>)>>| {
        TreeEnsembleClassifier::new(Trees::new(trees).unwrap(), vec![0, 1], Vec::new(), AfterVotes::Nothing)
    };
    assert!(forest(vec![leaf(0), leaf(1)]).is_ok());
    assert!(forest(vec![leaf(1)]).unwrap_err().contains("votes for both"));
    assert!(forest(Vec::new()).unwrap_err().contains("no tree"));
}

#[test]
fn a_deep_tree_is_no_deep_recursion() {
    let count = 200_001u32;
    let tree = (0..count).map(|i| {
        if i % 2 == 1 || i + 2 >= count {
            return (Branch::Leaf, vec![Vote { class: i % 2, weight: 1.0 }]);
        }
        let compare = Compare::Greater;
        let test = Branch::Test {
            feature: 0,
            compare,
            value: i as f32,
            yes: i + 2,
            no: i + 1,
            missing_passes: false,
        };
        (test, Vec::new())
    });
    let trees = Trees::new(vec![tree.collect()]).unwrap();
    assert_eq!(trees.leaf(0, &[f32::INFINITY]), [Vote { class: 0, weight: 1.0 }]);
}
