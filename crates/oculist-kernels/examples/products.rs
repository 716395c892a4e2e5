//! Prints the speed of matrix products at the sizes of transformers, beside the machine's FMA peak.
//!
//! `cargo run --release -p oculist-kernels --example products -- [THREADS] [MILLISECONDS] [ISA]`
//!
//! Best and median GFLOP/s over rounds of about so many milliseconds a shape. `packed` has a constant right side,
//! packed before; the other lines pack it each time.

use std::time::{Duration, Instant};

use oculist_kernels::{
    Buffer, Context, Isa, KernelError, Matmul, MatmulEpilogue, MatmulPlan, MatmulStart, PackedMatrix, Right,
    measure,
};

/// Calls `run` for `budget` and returns the best and the median seconds.
fn time(budget: Duration, mut run: impl FnMut()) -> [f64; 2] {
    run();
    let (start, mut rounds) = (Instant::now(), Vec::new());
    while start.elapsed() < budget || rounds.len() < 5 {
        let round = Instant::now();
        run();
        rounds.push(round.elapsed().as_secs_f64());
    }
    rounds.sort_unstable_by(f64::total_cmp);
    [rounds[0], rounds[rounds.len() / 2]]
}

fn filled(len: usize) -> Buffer {
    let mut x = Buffer::zeroed(len);
    for (i, v) in x.iter_mut().enumerate() {
        *v = (i * 7919 % 1009) as f32 / 504.5 - 1.0;
    }
    x
}

fn main() -> Result<(), KernelError> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(2);
    let budget = Duration::from_millis(arguments.next().and_then(|a| a.parse().ok()).unwrap_or(300));
    let isa = arguments.next().and_then(|name| Isa::available().into_iter().find(|isa| isa.name() == name));
    let ctx = Context::with_isa(threads, isa.unwrap_or_else(Isa::detect))?;
    println!("{} threads, {}, FMA peak {:.0} GFLOP/s", ctx.threads(), ctx.isa(), measure::fma_peak(&ctx));
    let plain = |m, n, k| (1, Matmul::new(m, n, k));
    let shapes = [
        plain(197, 576, 192),
        plain(197, 192, 192),
        plain(197, 768, 192),
        plain(197, 192, 768),
        plain(1576, 576, 192),
        plain(1576, 192, 192),
        plain(1576, 768, 192),
        plain(1576, 192, 768),
        (3, Matmul::new(197, 197, 64).transposed(false, true)),
        (3, Matmul::new(197, 64, 197)),
        (24, Matmul::new(197, 197, 64).transposed(false, true)),
        (24, Matmul::new(197, 64, 197)),
        plain(1, 1000, 1280),
        (1, Matmul::new(1, 1000, 1280).transposed(false, true)),
        plain(512, 512, 512),
        (1, Matmul::new(512, 512, 512).transposed(true, false)),
        (1, Matmul::new(512, 512, 512).transposed(false, true)),
        plain(1024, 1024, 1024),
        (1, Matmul::new(192, 768, 1576).transposed(true, false)),
        (1, Matmul::new(1576, 192, 768).transposed(false, true)),
    ];
    for (batch, shape) in shapes {
        let Matmul { m, n, k, .. } = shape;
        let (a, b, mut c) = (filled(batch * m * k), filled(batch * n * k), filled(batch * m * n));
        let starts: Vec<_> =
            (0..batch).map(|i| MatmulStart { a: i * m * k, b: i * n * k, c: i * m * n }).collect();
        let plan = MatmulPlan::batched(&ctx, shape, &starts)?;
        let mut scratch = Buffer::zeroed(plan.scratch_len());
        let flops = 2.0 * (batch * m * n * k) as f64;
        let letter = |t| if t { "T" } else { "" };
        let name = format!(
            "{batch} x {m}x{k}{} by {k}x{n}{}",
            letter(shape.a_transposed),
            letter(shape.b_transposed)
        );
        let epilogue = MatmulEpilogue::default();
        let report = |kind: &str, [best, median]: [f64; 2]| {
            println!(
                "{name:32} {kind:7} {:7.1} ({:5.1}) GFLOP/s  {:8.3} ({:8.3}) ms",
                flops / best * 1e-9,
                flops / median * 1e-9,
                best * 1e3,
                median * 1e3
            );
        };
        report(
            "plain",
            time(budget, || plan.run(&ctx, &a, Right::Plain(&b), &epilogue, &mut c, &mut scratch)),
        );
        if batch == 1 && !shape.a_transposed {
            let packed = PackedMatrix::new(&ctx, &shape, &b)?;
            report(
                "packed",
                time(budget, || plan.run(&ctx, &a, Right::Packed(&packed), &epilogue, &mut c, &mut scratch)),
            );
        }
    }
    Ok(())
}
