use oculist_graph::{Conv, GraphBuilder, Unary};

use super::*;

/// Two convolutions, then `end` makes logits of maps of 4 channels and 4x4 places.
fn net(end: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("image", 3, 8, 8);
    let y = b.conv("conv1", x, 4, Conv::square(3, 2, 1), true);
    let y = b.relu("maps", y);
    let out = end(&mut b, y);
    b.finish(out).unwrap()
}

fn pooled(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let y = b.op("pool", GlobalPool::Average, &[x]);
    b.op("flatten", Flatten::IMAGES, &[y])
}

#[test]
fn the_row_in_front_of_the_last_layer_is_taken() {
    let graph = net(|b, x| {
        let y = pooled(b, x);
        let y = b.linear("hidden", y, 6);
        let y = b.relu("act", y);
        b.linear("fc", y, 5)
    });
    let found = extractor(&graph, Cut::Classifier).unwrap();
    assert_eq!((found.features, found.pooled, found.at.as_str()), (6, false, "act.out"));
    let maps = extractor(&graph, Cut::Maps).unwrap();
    assert_eq!((maps.features, maps.pooled, maps.at.as_str()), (4, true, "maps.out"));
    for name in ["act", "act.out"] {
        assert_eq!(extractor(&graph, Cut::At(name)).unwrap().features, 6);
    }
    assert_eq!(extractor(&graph, Cut::At("conv1")).unwrap().features, 4);
}

#[test]
fn flattened_maps_are_pooled_where_maps_are_asked_for() {
    let graph = net(|b, x| {
        let y = b.op("flatten", Flatten::IMAGES, &[x]);
        b.linear("fc", y, 5)
    });
    assert_eq!(extractor(&graph, Cut::Classifier).unwrap().features, 4 * 16);
    assert_eq!(extractor(&graph, Cut::Maps).unwrap().features, 4);
    assert!(!pools_its_maps(&graph));
    let pooling = net(|b, x| {
        let y = pooled(b, x);
        b.linear("fc", y, 5)
    });
    assert!(pools_its_maps(&pooling));
    let hidden = net(|b, x| {
        let y = pooled(b, x);
        let y = b.linear("hidden", y, 6);
        b.linear("fc", y, 5)
    });
    assert!(!pools_its_maps(&hidden));
}

#[test]
fn a_classifier_of_maps_is_found_and_its_rows_read() {
    let mut graph = net(|b, x| {
        let y = b.conv("scores", x, 5, Conv::square(1, 1, 0), true);
        pooled(b, y)
    });
    let weights = graph.find("scores.weight").unwrap();
    graph
        .param_mut(weights)
        .unwrap()
        .as_f32_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
        .for_each(|(i, w)| *w = i as f32);
    let found = classifier(&graph).unwrap();
    assert_eq!((found.classes(), found.features), (5, 4));
    assert_eq!(found.row(1), [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(extractor(&graph, Cut::Classifier).unwrap().features, 4);
}

#[test]
fn what_has_no_classifier_says_what_it_ends_in() {
    let graph = net(pooled);
    // The convolution is the last layer that makes scores of several features.
    let error = classifier(&graph).unwrap_err().to_string();
    assert!(
        error.contains("`conv1` is no layer of plain f32 weights") && error.contains("`flatten` (Flatten)"),
        "{error}"
    );
    let error = extractor(&graph, Cut::At("nowhere")).unwrap_err().to_string();
    assert!(error.contains("found `nowhere`"), "{error}");
    let squared = net(|b, x| {
        let y = pooled(b, x);
        let y = b.linear("fc", y, 5);
        b.op("squash", Op::Unary(Unary::Tanh), &[y])
    });
    let error = classifier(&squared).unwrap_err().to_string();
    assert!(error.contains("`squash` (Tanh) stands behind its last layer"), "{error}");
}
