//! The integer kernels at small sizes for Miri, which interprets the portable path alone.

use super::conv::{check, problem};
use super::quant;
use crate::int8::{
    IntBias, IntFinish, int_add, int_average_pool, int_dequantize, int_gate, int_global_average_pool,
    int_max_pool, int_multiply, int_quantize,
};
use crate::{Activation, Context, Conv2d, Isa, Pooling, Rows};

#[test]
fn convolutions() {
    let y = quant(0.3, 100);
    let finish = IntFinish::U8 { y, activation: Activation::Identity, low: 0, high: 255, then: None };
    for conv in [
        Conv2d::square(1, [5, 4], [5, 17], 3, 1, 1),
        Conv2d::square(1, [3, 4], [4, 18], 2, 2, 0),
        Conv2d { groups: 17, ..Conv2d::square(1, [4, 3], [17, 17], 3, 1, 1) },
        Conv2d { groups: 2, ..Conv2d::square(1, [3, 3], [4, 6], 3, 1, 1) },
    ] {
        let p = problem(conv, 3);
        check(&p, finish, IntBias::Steps(&p.steps), 0.0);
    }
}

#[test]
fn everything_else() {
    let ctx = Context::with_isa(2, Isa::Portable).unwrap();
    let q = quant(0.5, 10);
    let shape = Rows::new(6, 3);
    let real: Vec<f32> = (0..18).map(|i| i as f32 * 0.5).collect();
    let mut x = vec![0; 6 * 16];
    int_quantize(&ctx, shape, [3, 16], q, &real, &mut x);
    assert!((0..18).all(|i| x[i / 3 * 16 + i % 3] == 10 + i as u8));
    let mut back = vec![f32::NAN; 6 * 16];
    int_dequantize(&ctx, shape, q, &x, &mut back);
    assert_eq!(back[16..20], [1.5, 2.0, 2.5, 0.0]);
    let mut y = vec![0; x.len()];
    int_add(&ctx, (&x, q), (&x, q), (&mut y, quant(1.0, 0)), [0, 255]);
    assert_eq!(y[16..19], [3, 4, 5]);
    int_multiply(&ctx, (&x, q), (&x, q), (&mut y, quant(0.25, 0)));
    assert_eq!(y[16..19], [9, 16, 25]);
    int_gate(&ctx, shape, 2, (&x, q), (&x[..32], q), (&mut y, quant(0.25, 0)));
    assert_eq!(y[16..19], [0, 4, 10]);
    let pool = Pooling {
        batch: 1,
        height: 2,
        width: 3,
        channels: 3,
        kernel: [2, 2],
        stride: [1, 1],
        padding: [0; 4],
    };
    let mut pooled = vec![0; 2 * 16];
    int_max_pool(&ctx, &pool, &x, &mut pooled);
    assert_eq!(pooled[16..19], [25, 26, 27]);
    int_average_pool(&ctx, &pool, true, (&x, q), (&mut pooled, q));
    assert_eq!(pooled[16..19], [19, 20, 21]);
    int_global_average_pool(&ctx, [1, 6, 3], (&x, q), (&mut pooled[..16], q));
    // The mean of 10, 13, .. 25 is 17.5, which rounds to the even neighbour.
    assert_eq!(pooled[0], 18);
}
