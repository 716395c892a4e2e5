use oculist_graph::{Conv, GraphBuilder};

use super::*;
use crate::test_models as models;
use crate::test_models::{distance, output};

fn norm(b: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    b.batch_norm(name, x, 1e-3, 0.9)
}

fn conv_norm(b: &mut GraphBuilder, name: &str, x: ValueId, conv: Conv) -> ValueId {
    let y = b.conv(name, x, 4, conv, false);
    norm(b, &format!("{name}.bn"), y)
}

/// A layer of RepVGG with a stride, in groups, and one that keeps the map with its identity branch.
fn branches(groups: usize) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 7, 6);
    let mut layer = |name: &str, x: ValueId, stride: usize| {
        let wide = Conv::square(3, stride, 1).with_groups(groups);
        let narrow = Conv::square(1, stride, 0).with_groups(groups);
        let y = conv_norm(&mut b, &format!("{name}.wide"), x, wide);
        let z = conv_norm(&mut b, &format!("{name}.narrow"), x, narrow);
        let mut sum = b.add(&format!("{name}.sum"), y, z);
        if stride == 1 {
            let same = norm(&mut b, &format!("{name}.same"), x);
            sum = b.add(&format!("{name}.all"), same, sum);
        }
        b.relu(&format!("{name}.relu"), sum)
    };
    let y = layer("one", x, 2);
    let y = layer("two", y, 1);
    models::fill(b.finish(y).unwrap())
}

#[test]
fn branches_become_one_convolution_that_computes_the_same() {
    for groups in [1, 2, 4] {
        let graph = branches(groups);
        let made = reparameterize(&graph).unwrap();
        let ops: Vec<&str> = made.nodes().iter().map(|n| n.op.name()).collect();
        assert_eq!(ops, ["Conv", "Relu", "Conv", "Relu"]);
        let off = distance(&output(&made), &output(&graph));
        assert!(off < 1e-6, "{groups} groups: {off}");
        // The twin: one wrong bias is seen.
        let mut wrong = made.clone();
        let bias = wrong.nodes()[2].inputs[2];
        wrong.param_mut(bias).unwrap().as_f32_mut().unwrap()[1] += 0.1;
        assert!(distance(&output(&wrong), &output(&graph)) > 1e-4);
    }
}

#[test]
fn dump_before_and_after() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 5, 5);
    let y = b.conv("wide", x, 4, Conv::square(3, 1, 1), false);
    let z = norm(&mut b, "same", x);
    let sum = b.add("sum", y, z);
    let graph = models::fill(b.finish(sum).unwrap());
    let before = "graph net
  input x: f32[N, 4, 5, 5]
  wide.out: f32[N, 4, 5, 5] = Conv[kernel_shape=[3, 3] pads=[1, 1, 1, 1]](x, wide.weight f32[4, 4, 3, 3])
  same.out: f32[N, 4, 5, 5] = BatchNormalization[epsilon=0.001 momentum=0.9](x, same.weight f32[4], same.bias f32[4], \
                  same.running_mean f32[4], same.running_var f32[4])
  sum.out: f32[N, 4, 5, 5] = Add(wide.out, same.out)
  output sum.out
";
    assert_eq!(graph.dump(), before);
    let after = "graph net
  input x: f32[N, 4, 5, 5]
  sum.out: f32[N, 4, 5, 5] = Conv[kernel_shape=[3, 3] pads=[1, 1, 1, 1]](x, sum.weight f32[4, 4, 3, 3], sum.bias f32[4])
  output sum.out
";
    assert_eq!(reparameterize(&graph).unwrap().dump(), after);
}

/// A sum of two branches of `x`, made by `build`.
fn sum_of(build: impl Fn(&mut GraphBuilder, ValueId) -> [ValueId; 2]) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 6, 6);
    let [y, z] = build(&mut b, x);
    let sum = b.add("sum", y, z);
    models::fill(b.finish(sum).unwrap())
}

#[test]
fn what_is_no_single_convolution_stays() {
    let refused = [
        // A shortcut without a layer, as in a residual network.
        sum_of(|b, x| [b.conv("a", x, 4, Conv::square(3, 1, 1), false), x]),
        // Another reader of a branch.
        sum_of(|b, x| {
            let y = b.conv("a", x, 4, Conv::square(3, 1, 1), false);
            [y, b.relu("relu", y)]
        }),
        // Branches of different values.
        sum_of(|b, x| {
            let z = b.relu("relu", x);
            let y = b.conv("a", x, 4, Conv::square(3, 1, 1), false);
            [y, b.conv("b", z, 4, Conv::square(1, 1, 0), false)]
        }),
        // A window that is not the middle of the larger one.
        sum_of(|b, x| {
            let y = b.conv("a", x, 4, Conv::square(3, 1, 1), false);
            [y, b.conv("b", x, 4, Conv::square(5, 1, 2).with_groups(2), false)]
        }),
        sum_of(|b, x| [norm(b, "a", x), norm(b, "b", x)]),
    ];
    for graph in refused {
        assert_eq!(reparameterize(&graph).unwrap(), graph);
    }
}
