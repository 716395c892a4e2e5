//! Pooling against window-by-window loops.

use oculist_kernels::{
    AdaptivePooling, KernelError, Pooling, adaptive_average_pool, adaptive_average_pool_backward,
    average_pool, average_pool_backward, max_pool, max_pool_backward,
};
use oculist_testing::reference::pooling::Pool;
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{contexts, to_nchw, to_nhwc};

#[test]
fn generated_windows() {
    let mut noise = Noise::new(30);
    let mut checked = 0;
    while checked < 60 {
        let pool = Pooling {
            batch: noise.between(1, 3),
            height: noise.between(1, 12),
            width: noise.between(1, 12),
            channels: noise.between(1, 35),
            kernel: [noise.between(1, 4), noise.between(1, 4)],
            stride: [noise.between(1, 3), noise.between(1, 3)],
            padding: std::array::from_fn(|_| noise.between(0, 2)),
        };
        if pool.check().is_err() {
            continue;
        }
        checked += 1;
        let naive = Pool {
            planes: pool.batch * pool.channels,
            size: [pool.height, pool.width],
            kernel: pool.kernel,
            stride: pool.stride,
            padding: pool.padding,
        };
        let (b, c) = (pool.batch, pool.channels);
        let x = noise.vector(naive.planes * pool.height * pool.width);
        let dy = noise.vector(naive.planes * pool.out_height() * pool.out_width());
        let (x64, dy64) = (widen(&x), widen(&dy));
        for ctx in contexts() {
            let (xs, dys) = (to_nhwc(&ctx, b, c, &x), to_nhwc(&ctx, b, c, &dy));
            let mut y = vec![f32::NAN; pool.y_len()];
            let mut dx = vec![f32::NAN; pool.x_len()];
            let mut argmax = vec![0; pool.y_len()];
            max_pool(&ctx, &pool, &xs, &mut y, None);
            assert_eq!(widen(&to_nchw(&ctx, b, c, &y)), naive.max(&x64), "{pool:?}");
            y.fill(f32::NAN);
            max_pool(&ctx, &pool, &xs, &mut y, Some(&mut argmax));
            assert_eq!(widen(&to_nchw(&ctx, b, c, &y)), naive.max(&x64), "{pool:?}");
            max_pool_backward(&ctx, &pool, &dys, &argmax, &mut dx, false);
            let want = naive.max_backward(&x64, &dy64);
            assert!(relative_error(&to_nchw(&ctx, b, c, &dx), &want) < 1e-6, "{pool:?}");
            for include in [false, true] {
                average_pool(&ctx, &pool, include, &xs, &mut y);
                let want = naive.average(&x64, include);
                assert!(relative_error(&to_nchw(&ctx, b, c, &y), &want) < 1e-6, "{pool:?}");
                average_pool_backward(&ctx, &pool, include, &dys, &mut dx, false);
                let want = naive.average_backward(&dy64, include);
                assert!(relative_error(&to_nchw(&ctx, b, c, &dx), &want) < 1e-6, "{pool:?}");
                average_pool_backward(&ctx, &pool, include, &dys, &mut dx, true);
                assert!(
                    relative_error(&to_nchw(&ctx, b, c, &dx), &want) > 0.5,
                    "accumulation changed nothing"
                );
            }
        }
    }
}

#[test]
fn adaptive_windows() {
    let mut noise = Noise::new(31);
    let (batch, channels) = (2, 19);
    for (input, out) in [([7, 7], [1, 1]), ([5, 8], [2, 3]), ([3, 3], [6, 6]), ([6, 6], [6, 6])] {
        let pool = AdaptivePooling { batch, input, out, channels };
        let x = noise.vector(batch * channels * input[0] * input[1]);
        let dy = noise.vector(batch * channels * out[0] * out[1]);
        let mut want = vec![0.0; dy.len()];
        let mut want_dx = vec![0.0; x.len()];
        for plane in 0..batch * channels {
            for i in 0..out[0] {
                for j in 0..out[1] {
                    let rows = i * input[0] / out[0]..((i + 1) * input[0]).div_ceil(out[0]);
                    let columns = j * input[1] / out[1]..((j + 1) * input[1]).div_ceil(out[1]);
                    let count = (rows.len() * columns.len()) as f64;
                    let o = (plane * out[0] + i) * out[1] + j;
                    for h in rows {
                        for w in columns.clone() {
                            let at = (plane * input[0] + h) * input[1] + w;
                            want[o] += f64::from(x[at]) / count;
                            want_dx[at] += f64::from(dy[o]) / count;
                        }
                    }
                }
            }
        }
        for ctx in contexts() {
            let (xs, dys) = (to_nhwc(&ctx, batch, channels, &x), to_nhwc(&ctx, batch, channels, &dy));
            let mut y = vec![f32::NAN; dys.len()];
            adaptive_average_pool(&ctx, &pool, &xs, &mut y);
            assert!(relative_error(&to_nchw(&ctx, batch, channels, &y), &want) < 1e-6, "{pool:?}");
            let mut dx = vec![f32::NAN; xs.len()];
            adaptive_average_pool_backward(&ctx, &pool, &dys, &mut dx, false);
            assert!(relative_error(&to_nchw(&ctx, batch, channels, &dx), &want_dx) < 1e-6, "{pool:?}");
        }
    }
}

#[test]
fn senseless_windows_are_errors() {
    let good = Pooling {
        batch: 1,
        height: 4,
        width: 4,
        channels: 3,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0; 4],
    };
    assert!(good.check().is_ok());
    for bad in [
        Pooling { kernel: [5, 2], ..good },
        Pooling { stride: [0, 1], ..good },
        Pooling { padding: [2, 0, 0, 0], ..good },
        Pooling { channels: 0, ..good },
    ] {
        assert!(matches!(bad.check(), Err(KernelError::Geometry { .. })), "{bad:?}");
    }
}
