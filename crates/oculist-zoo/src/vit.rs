//! Vision transformers: ViT-Tiny/16 and DeiT-Tiny/16.
//!
//! Patches of 16x16 pixels become tokens of 192 channels, a learned class token goes before them, learned positions are
//! added; twelve blocks (LayerNorm, self-attention with three heads, shortcut; LayerNorm, linear layer to four times the channels,
//! GELU, linear layer back, shortcut), LayerNorm, a linear classifier on the class token. LayerNorm has eps 1e-6. The two
//! networks are the same graph; they differ in how their published weights were trained (DeiT's without its distillation token).
//!
//! [`crate::Normalization`] and [`crate::Head`] do not apply. Pixels right of and below the last whole patch are not read.
//!
//! **Small images** (shorter side up to 64 pixels): patches of 4x4. Less than a patch a side cannot be built.
//! **Width** scales the number of heads, which have 64 channels each.
//!
//! # Source
//! Dosovitskiy et al.: An Image Is Worth 16x16 Words, 2020 (arXiv 2010.11929); Touvron et al.: Training Data-Efficient Image
//! Transformers, 2020 (arXiv 2012.12877), which have the size; layer names from timm's `models/vision_transformer.py`.

use oculist_graph::{Binary, Concat, Conv, Expand, Graph, GraphError, Op, ShapeOf, Tensor, Unary, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm};
use crate::options::BuildOptions;

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    paper: &'static str,
    description: &'static str,
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::VisionTransformer,
        description,
        paper,
        year: 2020,
        input_sizes: &[32, 64, 224],
        native_input: (3, 224, 224),
        native_classes: 1000,
        params: 5_717_416,
        macs: 1_253_683_200,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 2] = [
    entry(
        "vit_tiny_patch16_224",
        &["vit_tiny", "vit_ti_16"],
        "Dosovitskiy et al., An Image Is Worth 16x16 Words, arXiv 2010.11929",
        "a vision transformer of twelve blocks; wants much data or pretrained weights",
        |o| build("vit_tiny_patch16_224", o),
    ),
    entry(
        "deit_tiny_patch16_224",
        &["deit_tiny"],
        "Touvron et al., Training Data-Efficient Image Transformers, arXiv 2012.12877",
        "the same network, under the name of weights that were trained on ImageNet alone",
        |o| build("deit_tiny_patch16_224", o),
    ),
];

const BLOCKS: usize = 12;
/// Channels of a head.
const HEAD: usize = 64;
const EPSILON: f32 = 1e-6;

fn build(name: &str, options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let heads = (3.0 * options.width).round().max(1.0) as usize;
    let channels = HEAD * heads;
    let patch = if options.small_stem() { 4 } else { 16 };
    let class = net.param("cls_token", Tensor::filled(&[1, 1, channels], 0.0));
    let (_, h, w) = net.chw(x);
    let tokens = 1 + (h / patch) * (w / patch);
    let places = net.param("pos_embed", Tensor::filled(&[1, tokens, channels], 0.0));
    let x = net.conv("patch_embed.proj", x, channels, Conv::square(patch, patch, 0), true);
    let x = net.reshape("patch_embed.flatten", x, &[0, channels as i64, -1]);
    let x = net.transpose("patch_embed", x, &[0, 2, 1]);
    let x = with_class_token(&mut net, x, class, channels);
    let x = net.op("pos_embed.add", Op::Binary(Binary::Add), &[x, places]);
    let mut x = net.dropout("pos_drop", x, options, 0.0);
    for i in 0..BLOCKS {
        x = block(&mut net, &format!("blocks.{i}"), x, tokens, (channels, heads));
    }
    let y = net.layer_norm("norm", x, channels, EPSILON);
    let y = net.pick("pool", y, 1, 0);
    let y = net.dropout("head_drop", y, options, 0.0);
    let logits = net.linear("head", y, options.num_classes);
    net.finish(logits)
}

/// The class token of every image of the batch before its tokens.
fn with_class_token(net: &mut Net, x: ValueId, class: ValueId, channels: usize) -> ValueId {
    let batch = net.op("cls_token.batch", ShapeOf { start: 0, end: Some(1) }, &[x]);
    let one = net.param("cls_token.shape", Tensor::ints(vec![1, channels as i64]));
    let shape = net.op("cls_token.sizes", Concat { axis: 0 }, &[batch, one]);
    let class = net.op("cls_token.expand", Expand, &[class, shape]);
    net.op("cls_token.concat", Concat { axis: 1 }, &[class, x])
}

fn block(net: &mut Net, name: &str, x: ValueId, tokens: usize, (channels, heads): (usize, usize)) -> ValueId {
    let y = net.layer_norm(&format!("{name}.norm1"), x, channels, EPSILON);
    let y = net.self_attention(&format!("{name}.attn"), y, tokens, (channels, heads));
    let x = net.add(&format!("{name}.add1"), x, y);
    let y = net.layer_norm(&format!("{name}.norm2"), x, channels, EPSILON);
    let y = net.dense(&format!("{name}.mlp.fc1"), y, channels, 4 * channels);
    let y = net.op(&format!("{name}.mlp.act"), Op::Unary(Unary::Gelu { tanh: false }), &[y]);
    let y = net.dense(&format!("{name}.mlp.fc2"), y, 4 * channels, channels);
    net.add(&format!("{name}.add2"), x, y)
}
