//! Whole networks, built and quantised by hand, so that the tests need no other crate of the workspace.

use oculist_graph::{
    Conv, DataType, DequantizeLinear, Flatten, Gemm, GlobalPool, Graph, GraphBuilder, QuantizeLinear, Tensor,
    ValueId,
};
use oculist_testing::formula::state;

/// Fills every float parameter with formula values of its name.
fn fill(mut graph: Graph) -> Graph {
    let names: Vec<(ValueId, String, Vec<usize>)> =
        graph.params().map(|(id, value, t)| (id, value.name.clone(), t.shape().to_vec())).collect();
    for (id, name, shape) in names {
        graph.set_param(id, Tensor::f32(&shape, state(&name, &shape, 1.0)));
    }
    graph
}

fn basic_block(b: &mut GraphBuilder, name: &str, x: ValueId, channels: usize, stride: usize) -> ValueId {
    let before = b.chw(x).0;
    let y = b.conv(&format!("{name}.conv1"), x, channels, Conv::square(3, stride, 1), false);
    let y = b.batch_norm(&format!("{name}.bn1"), y, 1e-5, 0.9);
    let y = b.relu(&format!("{name}.relu1"), y);
    let y = b.conv(&format!("{name}.conv2"), y, channels, Conv::square(3, 1, 1), false);
    let y = b.batch_norm(&format!("{name}.bn2"), y, 1e-5, 0.9);
    let shortcut = if stride == 1 && before == channels {
        x
    } else {
        let s = b.conv(&format!("{name}.downsample.0"), x, channels, Conv::square(1, stride, 0), false);
        b.batch_norm(&format!("{name}.downsample.1"), s, 1e-5, 0.9)
    };
    let y = b.add(&format!("{name}.add"), y, shortcut);
    b.relu(&format!("{name}.relu2"), y)
}

/// A residual network for small images with `blocks` blocks per stage: 3 gives ResNet-20.
pub(crate) fn residual(blocks: usize, widths: [usize; 3], size: usize) -> Graph {
    let mut b = GraphBuilder::new("resnet");
    let x = b.input("input", 3, size, size);
    let y = b.conv("conv1", x, widths[0], Conv::square(3, 1, 1), false);
    let y = b.batch_norm("bn1", y, 1e-5, 0.9);
    let mut y = b.relu("relu1", y);
    for (stage, &width) in widths.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            y = basic_block(&mut b, &format!("layer{}.{block}", stage + 1), y, width, stride);
        }
    }
    let y = b.op("avgpool", GlobalPool::Average, &[y]);
    let y = b.op("flatten", Flatten::IMAGES, &[y]);
    let y = b.linear("fc", y, 10);
    let mut graph = fill(b.finish(y).expect("a valid graph"));
    graph.metadata.insert("oculist.classes".into(), r#"["ankle boot","bag","Stoßstange"]"#.into());
    graph.metadata.insert("oculist.empty".into(), String::new());
    graph
}

/// The largest quantised weight: seven bits and a sign. On processors without VNNI, ONNX Runtime adds two products of an
/// unsigned and a signed byte in 16 bits and saturates there; up to this weight no such sum leaves them, so that its
/// answer is the same on every machine.
const LARGEST_WEIGHT: f32 = 64.0;

/// Adds Q/DQ nodes as a quantised model has them.
struct Quantiser {
    b: GraphBuilder,
    /// Scale of every dequantised activation.
    scales: Vec<(ValueId, f32)>,
}

impl Quantiser {
    fn activation(&mut self, x: ValueId, scale: f32, zero_point: u8) -> ValueId {
        let name = format!("activation{}", self.scales.len());
        let s = self.b.param(&format!("{name}.scale"), Tensor::f32(&[], vec![scale]));
        let z = self.b.param(&format!("{name}.zero_point"), Tensor::u8(&[], vec![zero_point]));
        let q = self.b.op(
            &format!("{name}.quantize"),
            QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 },
            &[x, s, z],
        );
        let y = self.b.op(&format!("{name}.dequantize"), DequantizeLinear::along(1), &[q, s, z]);
        self.scales.push((y, scale));
        y
    }

    /// A weight `[c_out, ...]` of signed bytes with one scale per output channel, and a bias in the steps that
    /// integer accumulation has: the scale of the input times that of the weight.
    fn weight_and_bias(&mut self, name: &str, shape: &[usize], x: ValueId) -> [ValueId; 2] {
        let values = state(&format!("{name}.weight"), shape, 1.0);
        let channels = shape[0];
        let per_channel = values.len() / channels;
        let scales: Vec<f32> = values
            .chunks(per_channel)
            .map(|c| c.iter().fold(0.0f32, |m, v| m.max(v.abs())) / LARGEST_WEIGHT)
            .collect();
        let q = (0..values.len()).map(|i| (values[i] / scales[i / per_channel]).round() as i8).collect();
        let zeros = Tensor::i8(&[channels], vec![0; channels]);
        let w = self.dequantised(&format!("{name}.weight"), Tensor::i8(shape, q), scales.clone(), zeros);
        let x_scale = self.scales.iter().find(|(v, _)| *v == x).expect("a quantised input").1;
        let scales: Vec<f32> = scales.iter().map(|s| s * x_scale).collect();
        let values = state(&format!("{name}.bias"), &[channels], 1.0);
        let q = (0..channels).map(|i| (values[i] / scales[i]).round() as i32).collect();
        let zeros = Tensor::i32(&[channels], vec![0; channels]);
        let b = self.dequantised(&format!("{name}.bias"), Tensor::i32(&[channels], q), scales, zeros);
        [w, b]
    }

    fn dequantised(&mut self, name: &str, q: Tensor, scales: Vec<f32>, zeros: Tensor) -> ValueId {
        let q = self.b.param(name, q);
        let s = self.b.param(&format!("{name}.scale"), Tensor::f32(&[scales.len()], scales));
        let z = self.b.param(&format!("{name}.zero_point"), zeros);
        self.b.op(&format!("{name}.dequantize"), DequantizeLinear::along(0), &[q, s, z])
    }

    fn conv(&mut self, name: &str, x: ValueId, channels: usize, conv: Conv, relu: bool) -> ValueId {
        let c_in = self.b.chw(x).0;
        let [w, bias] =
            self.weight_and_bias(name, &[channels, c_in, conv.window.kernel[0], conv.window.kernel[1]], x);
        let y = self.b.op(name, conv, &[x, w, bias]);
        if relu {
            let y = self.b.relu(&format!("{name}.relu"), y);
            self.activation(y, 0.04, 0)
        } else {
            self.activation(y, 0.05, 128)
        }
    }
}

/// The same network with batch norm folded away and everything quantised.
pub(crate) fn residual_int8(blocks: usize, widths: [usize; 3], size: usize) -> Graph {
    let mut q = Quantiser { b: GraphBuilder::new("resnet"), scales: Vec::new() };
    let x = q.b.input("input", 3, size, size);
    let x = q.activation(x, 0.03, 128);
    let mut y = q.conv("conv1", x, widths[0], Conv::square(3, 1, 1), true);
    for (stage, &width) in widths.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            let shortcut = if stride == 1 && q.b.chw(y).0 == width {
                y
            } else {
                q.conv(&format!("{name}.downsample.0"), y, width, Conv::square(1, stride, 0), false)
            };
            let z = q.conv(&format!("{name}.conv1"), y, width, Conv::square(3, stride, 1), true);
            let z = q.conv(&format!("{name}.conv2"), z, width, Conv::square(3, 1, 1), false);
            let sum = q.b.add(&format!("{name}.add"), z, shortcut);
            let sum = q.b.relu(&format!("{name}.relu2"), sum);
            y = q.activation(sum, 0.05, 0);
        }
    }
    let y = q.b.op("avgpool", GlobalPool::Average, &[y]);
    let y = q.b.op("flatten", Flatten::IMAGES, &[y]);
    let y = q.activation(y, 0.03, 0);
    let [w, bias] = q.weight_and_bias("fc", &[10, widths[2]], y);
    let y = q.b.op("fc", Gemm::LINEAR, &[y, w, bias]);
    q.b.finish(y).expect("a valid graph")
}
