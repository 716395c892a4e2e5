//! Geometries whose sizes leave the range of an index: refused, and never taken for the length that they wrap to.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oculist_kernels::int8::{
    IntBias, IntConv, IntConvPlan, IntFinish, Quant, int_average_pool, int_max_pool,
};
use oculist_kernels::{
    Activation, AdaptivePooling, BlockPlan, ChannelCopy, Context, Conv2d, ConvPlan, GroupNorm,
    InvertedResidual, KernelError, MAX_ELEMENTS, Pooling, Rows, TransposedConv2d, TransposedConvPlan,
    activation_forward, adaptive_average_pool, average_pool, average_pool_backward, batch_statistics,
    channel_stride, copy_channels, group_norm, max_pool, max_pool_backward, nchw_to_nhwc, pack_weights,
    pad_channels,
};

fn ctx() -> Context {
    Context::new(1).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "reads as a sentence where it is called")]
fn refused<T: std::fmt::Debug>(result: Result<T, KernelError>, what: &str) {
    assert!(matches!(result, Err(KernelError::Geometry { .. })), "{what}: {result:?}");
}

fn panics(what: &str, run: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "{what} was computed");
}

fn conv() -> Conv2d {
    Conv2d::square(2, [9, 7], [16, 32], 3, 1, 1)
}

/// One size after the other becomes each of these.
const ABSURD: [usize; 6] = [1 << 31, 1 << 33, 1 << 48, 1 << 60, 1 << 62, usize::MAX];

/// The convolution with each of its sizes, in turn, `n`.
fn variants(conv: Conv2d, n: usize) -> Vec<(String, Conv2d)> {
    let mut all = vec![
        ("batch", Conv2d { batch: n, ..conv }),
        ("height", Conv2d { height: n, ..conv }),
        ("width", Conv2d { width: n, ..conv }),
        ("both sides", Conv2d { height: n, width: n, ..conv }),
        ("c_in", Conv2d { c_in: n, x_stride: channel_stride(n), ..conv }),
        ("c_out", Conv2d { c_out: n, ..conv }),
        ("kernel", Conv2d { kernel: [n; 2], ..conv }),
        ("dilation", Conv2d { dilation: [n; 2], ..conv }),
        ("stride of channels", Conv2d { x_stride: n, ..conv }),
    ];
    for side in 0..4 {
        let mut padding = conv.padding;
        padding[side] = n;
        all.push(("padding", Conv2d { padding, ..conv }));
    }
    all.push(("all padding", Conv2d { padding: [n; 4], ..conv }));
    // A plan lists the taps of a kernel that fits, so this one must not be planned where it can be.
    if n > 1 << 40 {
        all.push(("kernel and height", Conv2d { height: n, kernel: [n, 3], ..conv }));
    }
    all.into_iter().map(|(what, conv)| (format!("{what} {n}"), conv)).collect()
}

/// Whether nothing of the convolution is beyond what an index can count; computed in 128 bits.
fn countable(conv: &Conv2d) -> bool {
    let wide = |n: usize| n as u128;
    let limit = wide(MAX_ELEMENTS);
    let size = |axis: usize| {
        let padded =
            wide([conv.height, conv.width][axis]) + wide(conv.padding[axis]) + wide(conv.padding[axis + 2]);
        let extent = wide(conv.kernel[axis] - 1) * wide(conv.dilation[axis]) + 1;
        (padded, extent)
    };
    (0..2).all(|axis| size(axis).0 >= size(axis).1 && size(axis).0 <= limit)
        && size(0).0 * size(1).0 <= limit
        && size(0).0 * size(1).0 * wide(conv.batch) * wide(conv.x_stride) <= limit
        && wide(conv.c_in.max(conv.c_out)) * wide(conv.kernel[0]) <= limit
}

#[test]
fn no_plan_of_a_convolution_is_made_beyond_the_range() {
    assert!(countable(&conv()) && ConvPlan::new(&ctx(), conv()).is_ok());
    for n in ABSURD {
        for (what, conv) in variants(conv(), n) {
            let plan = ConvPlan::new(&ctx(), conv);
            // 2^31 of something is much, but may be counted.
            if n > 1 << 33 || !countable(&conv) {
                refused(plan, &what);
            } else if let Ok(plan) = plan {
                let lengths = [conv.x_len(), conv.y_len(), conv.weights_len(), plan.forward_scratch_len()];
                assert!(lengths.iter().all(|n| *n < 1 << 58), "{what}: {lengths:?}");
            }
        }
    }
}

#[test]
fn a_product_that_wraps_to_a_small_length_is_no_length() {
    // The fields multiply to 2^64 and more, which wraps to 0 or to the length of a small slice.
    let wraps = Conv2d { batch: 1 << 32, height: 1 << 14, width: 1 << 14, ..conv() };
    assert_eq!((wraps.x_len(), wraps.macs()), (usize::MAX, u64::MAX));
    let padded =
        Conv2d { padding: [12_764_823, 16_688_841, 12_764_824, 16_688_841], c_out: 21_648, ..conv() };
    assert!(padded.y_len() > MAX_ELEMENTS);
    refused(ConvPlan::new(&ctx(), padded), "padding");
    refused(ConvPlan::new(&ctx(), wraps), "batch");
    panics("weights", || drop(pack_weights(&Conv2d { c_out: 1 << 62, ..conv() }, &[])));
    assert_eq!(Rows::new(1 << 60, 16).len(), usize::MAX);
    panics("rows", || activation_forward(&ctx(), Rows::new(1 << 60, 16), Activation::Relu, &[], &mut []));
    panics("statistics", || {
        batch_statistics(&ctx(), Rows::new(1 << 60, 16), &[], &mut [0.0; 16], &mut [0.0; 16]);
    });
}

#[test]
fn strides_and_dilations_beyond_everything_are_refused() {
    for n in [1 << 60, 1 << 62, usize::MAX] {
        refused(ConvPlan::new(&ctx(), Conv2d { stride: [n; 2], ..conv() }), "stride");
        let pointwise = Conv2d::square(1, [4, 4], [16, 16], 1, 1, 0);
        refused(ConvPlan::new(&ctx(), Conv2d { dilation: [n; 2], ..pointwise }), "dilation of a 1x1 kernel");
    }
    // A stride beyond the image gives one pixel; that much is right.
    let plan = ConvPlan::new(&ctx(), Conv2d { stride: [1 << 20; 2], ..conv() }).unwrap();
    assert_eq!((plan.conv().out_height(), plan.conv().out_width()), (1, 1));
}

#[test]
fn integer_convolutions_count_their_own_stride() {
    let weights = vec![1i8; 32 * 16 * 9];
    let plan = |conv: Conv2d| {
        let quant = Quant { scale: 1.0, zero_point: 0 };
        let finish = IntFinish::F32 { activation: Activation::Identity };
        let (x, bias) = (quant, IntBias::None);
        IntConvPlan::new(&ctx(), &IntConv { conv, x, weights: &weights, weight_scales: &[1.0], bias, finish })
    };
    assert!(plan(conv()).is_ok());
    for n in ABSURD {
        for (what, conv) in variants(conv(), n) {
            if n > 1 << 33 || !countable(&conv) {
                refused(plan(conv), &what);
            }
        }
    }
    refused(plan(Conv2d { x_stride: 1 << 60, ..conv() }), "a stride that is a multiple of 4");
    refused(plan(Conv2d { c_in: 0, ..conv() }), "no channels");
}

#[test]
fn transposed_convolutions_and_blocks_are_refused_too() {
    let transposed = TransposedConv2d::square(2, [5, 5], [16, 16], 3, 2, 1);
    assert!(TransposedConvPlan::new(&ctx(), transposed).is_ok());
    for n in [1usize << 48, 1 << 60, 1 << 62, usize::MAX] {
        for wrong in [
            TransposedConv2d { batch: n, ..transposed },
            TransposedConv2d { height: n, ..transposed },
            TransposedConv2d { stride: [n; 2], ..transposed },
            TransposedConv2d { kernel: [n; 2], ..transposed },
            TransposedConv2d { dilation: [n; 2], ..transposed },
            TransposedConv2d { padding: [n; 4], ..transposed },
            TransposedConv2d { stride: [n, 1], padding: [n - 1, 1, n - 1, 1], ..transposed },
            TransposedConv2d { c_out: n, ..transposed },
        ] {
            refused(TransposedConvPlan::new(&ctx(), wrong), "a transposed convolution");
        }
    }
    let pointwise = |c_in, c_out| Conv2d::square(1, [8, 8], [c_in, c_out], 1, 1, 0);
    let depthwise = Conv2d { groups: 64, ..Conv2d::square(1, [8, 8], [64, 64], 3, 1, 1) };
    let block = InvertedResidual { expand: Some(pointwise(16, 64)), depthwise, project: pointwise(64, 16) };
    assert!(BlockPlan::new(&ctx(), block).is_ok());
    for n in [1usize << 48, 1 << 62] {
        let tall = |conv: Conv2d| Conv2d { height: n, ..conv };
        let InvertedResidual { depthwise, project, .. } = block;
        let expand = block.expand.map(tall);
        refused(
            BlockPlan::new(
                &ctx(),
                InvertedResidual { expand, depthwise: tall(depthwise), project: tall(project) },
            ),
            "a block",
        );
    }
}

#[test]
fn pooling_computes_nothing_beyond_the_range() {
    let pool = Pooling {
        batch: 1,
        height: 4,
        width: 4,
        channels: 16,
        kernel: [2; 2],
        stride: [2; 2],
        padding: [0; 4],
    };
    assert!(pool.check().is_ok());
    let ctx = ctx();
    for n in ABSURD {
        for wrong in [
            Pooling { batch: n, height: 1 << 16, width: 1 << 16, ..pool },
            Pooling { height: n, width: n, ..pool },
            Pooling { channels: n, height: 1 << 16, width: 1 << 16, ..pool },
            Pooling { kernel: [n; 2], height: n, width: n, ..pool },
            Pooling { kernel: [n; 2], padding: [n - 1; 4], ..pool },
            // The padding wraps the height to 0.
            Pooling { padding: [n, 0, 0usize.wrapping_sub(n), 0], kernel: [n, 2], ..pool },
        ] {
            refused(wrong.check(), &format!("{wrong:?}"));
            let quant = Quant { scale: 1.0, zero_point: 0 };
            panics("max", || max_pool(&ctx, &wrong, &[], &mut [], None));
            panics("max backward", || max_pool_backward(&ctx, &wrong, &[], &[], &mut [], false));
            panics("average", || average_pool(&ctx, &wrong, true, &[], &mut []));
            panics("average backward", || average_pool_backward(&ctx, &wrong, true, &[], &mut [], false));
            panics("bytes", || int_max_pool(&ctx, &wrong, &[], &mut []));
            panics("average of bytes", || {
                int_average_pool(&ctx, &wrong, true, (&[], quant), (&mut [], quant));
            });
        }
    }
    panics("adaptive", || {
        let wrong = AdaptivePooling::global(1 << 32, [1 << 16, 1 << 16], 16);
        adaptive_average_pool(&ctx, &wrong, &[], &mut []);
    });
}

#[test]
fn norms_and_copies_compute_nothing_beyond_the_range() {
    let ctx = ctx();
    let norm = GroupNorm { batch: 1 << 32, pixels: 1 << 28, channels: 16, groups: 4, eps: 1e-5 };
    refused(norm.check(), "a normalisation");
    assert_eq!(norm.len(), usize::MAX);
    panics("a normalisation", || {
        group_norm(&ctx, &norm, &[], &[0.0; 16], &[0.0; 16], &mut [], &mut [], &mut []);
    });
    let copy = ChannelCopy {
        rows: 1 << 60,
        channels: 16,
        src_stride: 16,
        src_offset: 0,
        dst_stride: 16,
        dst_offset: 0,
    };
    panics("a copy", || copy_channels(&ctx, copy, &[], &mut [], false));
    let behind = ChannelCopy { rows: 1, dst_offset: usize::MAX - 7, ..copy };
    panics("a copy behind the end", || copy_channels(&ctx, behind, &[0.0; 16], &mut [0.0; 16], false));
    panics("padding", || pad_channels(&ctx, 1 << 60, 16, &[], &mut []));
    panics("another layout", || nchw_to_nhwc(&ctx, 1 << 30, 1 << 20, 1 << 14, 1 << 20, &[], &mut []));
}

#[test]
fn memory_is_refused_before_it_is_taken() {
    let ctx = ctx().with_max_memory(1 << 20);
    assert!(ctx.check_memory("it", 1 << 20).is_ok());
    let text = ctx.serial().unwrap().check_memory("the plan", 3 << 20).unwrap_err().to_string();
    assert!(text.contains("the plan needs 3.0 MiB") && text.contains("limit is 1.0 MiB"), "{text}");
}
