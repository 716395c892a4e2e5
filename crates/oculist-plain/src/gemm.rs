//! Products of row-major matrices.

use oculist_kernels::{Context, Matmul, MatmulEpilogue, MatmulPlan, MatmulStart, Right};

/// An element of a product: integers wrap.
pub(crate) trait Number: Copy + Default + Send + Sync + 'static {
    /// 1.
    const UNIT: Self;
    /// `self + a * b`.
    fn plus_product(self, a: Self, b: Self) -> Self;
    /// `a * b`, row-major, `ld*` elements from one row to the next; what `c` holds is overwritten.
    fn matmul(ctx: &Context, size: Size, a: &[Self], b: &[Self], c: &mut [Self]) {
        product(ctx, size, a, b, c);
    }
    /// As [`Number::matmul`] without gaps, of matrices of which either may be stored transposed.
    fn turned_matmul(ctx: &Context, size: Size, turned: [bool; 2], a: &[Self], b: &[Self], c: &mut [Self]) {
        let Size { m, n, k, .. } = size;
        let turned_a = turned[0].then(|| transposed(a, k, m));
        let turned_b = turned[1].then(|| transposed(b, n, k));
        Self::matmul(ctx, size, turned_a.as_deref().unwrap_or(a), turned_b.as_deref().unwrap_or(b), c);
    }
    /// Many products of one size, one for each pair of offsets into `a` and `b`, one behind the other in `c`.
    fn batch(ctx: &Context, size: Size, offsets: &[(usize, usize)], a: &[Self], b: &[Self], c: &mut [Self]) {
        products(ctx, size, offsets, a, b, c);
    }
}

/// Sizes of a product `[m, k] * [k, n]` and the distances from one row to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) lda: usize,
    pub(crate) ldb: usize,
    pub(crate) ldc: usize,
}

impl Size {
    /// Matrices without gaps between their rows.
    pub(crate) fn packed(m: usize, n: usize, k: usize) -> Self {
        Self { m, n, k, lda: k, ldb: n, ldc: n }
    }
}

impl Number for f32 {
    const UNIT: Self = 1.0;

    fn plus_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }

    fn matmul(ctx: &Context, size: Size, a: &[Self], b: &[Self], c: &mut [Self]) {
        let Size { m, n, k, lda, ldb, ldc } = size;
        matmul_f32(ctx, m, n, k, a, lda, b, ldb, c, ldc);
    }

    fn turned_matmul(ctx: &Context, size: Size, turned: [bool; 2], a: &[Self], b: &[Self], c: &mut [Self]) {
        let shape = Matmul::new(size.m, size.n, size.k).transposed(turned[0], turned[1]);
        if !fast(ctx, shape, &[MatmulStart::default()], a, b, c) {
            let Size { m, n, k, .. } = size;
            let turned_a = turned[0].then(|| transposed(a, k, m));
            let turned_b = turned[1].then(|| transposed(b, n, k));
            product(ctx, size, turned_a.as_deref().unwrap_or(a), turned_b.as_deref().unwrap_or(b), c);
        }
    }

    fn batch(ctx: &Context, size: Size, offsets: &[(usize, usize)], a: &[Self], b: &[Self], c: &mut [Self]) {
        let shape = Matmul { a_stride: size.lda, b_stride: size.ldb, ..Matmul::new(size.m, size.n, size.k) };
        let each = size.m * size.n;
        let starts: Vec<_> = offsets
            .iter()
            .enumerate()
            .map(|(i, &(a, b))| MatmulStart { a, b, c: i.saturating_mul(each) })
            .collect();
        if size.ldc != size.n || !fast(ctx, shape, &starts, a, b, c) {
            products(ctx, size, offsets, a, b, c);
        }
    }
}

impl Number for f64 {
    const UNIT: Self = 1.0;

    fn plus_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }
}

macro_rules! integers {
    ($($type:ident),*) => {
        $(impl Number for $type {
            const UNIT: Self = 1;

            fn plus_product(self, a: Self, b: Self) -> Self {
                self.wrapping_add(a.wrapping_mul(b))
            }
        })*
    };
}

integers!(i8, u8, i16, u16, i32, u32, i64, u64);

/// `a * b` of f32, row-major, `ld*` elements from one row to the next; what `c` holds is overwritten, what lies between
/// its rows is not.
pub(crate) fn matmul_f32(
    ctx: &Context,
    m: usize,
    n: usize,
    k: usize,
    a: &[f32],
    lda: usize,
    b: &[f32],
    ldb: usize,
    c: &mut [f32],
    ldc: usize,
) {
    let shape = Matmul { a_stride: lda, b_stride: ldb, c_stride: ldc, ..Matmul::new(m, n, k) };
    if !fast(ctx, shape, &[MatmulStart::default()], a, b, c) {
        product(ctx, Size { m, n, k, lda, ldb, ldc }, a, b, c);
    }
}

/// Computes products with the kernels' matrix product; false where it does not take the shape, or its scratch would
/// exceed the memory that there may be.
fn fast(ctx: &Context, shape: Matmul, starts: &[MatmulStart], a: &[f32], b: &[f32], c: &mut [f32]) -> bool {
    let Ok(plan) = MatmulPlan::batched(ctx, shape, starts) else { return false };
    let scratch = plan.scratch_len();
    if ctx.check_memory("a matrix product", scratch.saturating_mul(size_of::<f32>())).is_err() {
        return false;
    }
    plan.run(ctx, a, Right::Plain(b), &MatmulEpilogue::default(), c, &mut vec![0.0; scratch]);
    true
}

/// Rows and columns of a tile whose sums stay in registers.
const ROWS: usize = 4;
const COLUMNS: usize = 8;
/// Rows of `b` that are read at once: a strip of `INNER * COLUMNS` elements stays in the first cache.
const INNER: usize = 256;

/// The product, cut into pieces of rows (of columns for a single row) that run on the pool. The cuts follow from the
/// shape alone, and every element is one sum in the order of `k`, so results do not depend on threads.
fn product<T: Number>(ctx: &Context, size: Size, a: &[T], b: &[T], c: &mut [T]) {
    let Size { m, n, ldc, .. } = size;
    if m == 0 || n == 0 {
        return;
    }
    // What lies behind the last row is no part of the result.
    let c = &mut c[..(m - 1) * ldc + n];
    if m == 1 {
        let piece = n.div_ceil(ctx.threads()).max(256).next_multiple_of(COLUMNS);
        ctx.for_pieces(c, piece, |i, part| {
            let part_size = Size { n: part.len(), ..size };
            block(part_size, a, &b[(i * piece).min(b.len())..], part);
        });
        return;
    }
    let rows = m.div_ceil(ctx.threads()).clamp(ROWS, 64).next_multiple_of(ROWS);
    ctx.for_pieces(c, rows * ldc, |i, part| {
        let part_size = Size { m: rows.min(m - i * rows), ..size };
        block(part_size, &a[i * rows * size.lda..], b, part);
    });
}

/// The product on the calling thread.
pub(crate) fn block<T: Number>(size: Size, a: &[T], b: &[T], c: &mut [T]) {
    let Size { m, n, k, lda, ldb, ldc } = size;
    for i in 0..m {
        c[i * ldc..][..n].fill(T::default());
    }
    if m < ROWS {
        for i in 0..m {
            let row = &mut c[i * ldc..][..n];
            for p in 0..k {
                let factor = a[i * lda + p];
                for (y, &x) in row.iter_mut().zip(&b[p * ldb..][..n]) {
                    *y = y.plus_product(factor, x);
                }
            }
        }
        return;
    }
    let mut strip = vec![[T::default(); COLUMNS]; INNER.min(k)];
    for p0 in (0..k).step_by(INNER) {
        let depth = INNER.min(k - p0);
        for j in (0..n).step_by(COLUMNS) {
            let width = COLUMNS.min(n - j);
            for (p, line) in strip[..depth].iter_mut().enumerate() {
                line[..width].copy_from_slice(&b[(p0 + p) * ldb + j..][..width]);
            }
            for i in (0..m).step_by(ROWS) {
                tile(&strip[..depth], ROWS.min(m - i), a, (i * lda + p0, lda), c, (i * ldc + j, ldc), width);
            }
        }
    }
}

/// Adds the product of some rows of `a` with a strip of `b` to a tile of `c`; pairs are an offset and a distance of rows.
#[inline]
fn tile<T: Number>(
    strip: &[[T; COLUMNS]],
    rows: usize,
    a: &[T],
    (a0, lda): (usize, usize),
    c: &mut [T],
    (c0, ldc): (usize, usize),
    width: usize,
) {
    let depth = strip.len();
    let mut sums = [[T::default(); COLUMNS]; ROWS];
    for (r, sum) in sums.iter_mut().enumerate().take(rows) {
        sum[..width].copy_from_slice(&c[c0 + r * ldc..][..width]);
    }
    // A tile at the lower edge computes its last row several times rather than in a loop of another length.
    let line = |r: usize| &a[a0 + r.min(rows - 1) * lda..][..depth];
    let (a0, a1, a2, a3) = (line(0), line(1), line(2), line(3));
    // Four arrays and four loops: in this form the sums stay in vector registers.
    let [mut s0, mut s1, mut s2, mut s3] = sums;
    for (p, b) in strip.iter().enumerate() {
        let (x0, x1, x2, x3) = (a0[p], a1[p], a2[p], a3[p]);
        for j in 0..COLUMNS {
            s0[j] = s0[j].plus_product(x0, b[j]);
        }
        for j in 0..COLUMNS {
            s1[j] = s1[j].plus_product(x1, b[j]);
        }
        for j in 0..COLUMNS {
            s2[j] = s2[j].plus_product(x2, b[j]);
        }
        for j in 0..COLUMNS {
            s3[j] = s3[j].plus_product(x3, b[j]);
        }
    }
    let sums = [s0, s1, s2, s3];
    for (r, sum) in sums.iter().enumerate().take(rows) {
        c[c0 + r * ldc..][..width].copy_from_slice(&sum[..width]);
    }
}

/// Many products of one size, one for each pair of offsets into `a` and `b`, one behind the other in `c`.
pub(crate) fn batch<T: Number>(
    ctx: &Context,
    size: Size,
    offsets: &[(usize, usize)],
    a: &[T],
    b: &[T],
    c: &mut [T],
) {
    T::batch(ctx, size, offsets, a, b, c);
}

/// The plain way of [`batch`].
fn products<T: Number>(ctx: &Context, size: Size, offsets: &[(usize, usize)], a: &[T], b: &[T], c: &mut [T]) {
    let each = size.m * size.n;
    if each == 0 {
        return;
    }
    // Small products run one a thread; of a large one each thread takes some rows.
    let work = each.saturating_mul(size.k);
    if offsets.len() > 1 && work < 1 << 21 {
        let together = (1usize << 16).div_ceil(work.max(1)).min(offsets.len()).max(1);
        ctx.for_pieces(c, together * each, |i, part| {
            for (&(x, y), c) in offsets[i * together..].iter().zip(part.chunks_mut(each)) {
                block(size, &a[x..], &b[y..], c);
            }
        });
    } else {
        for (&(x, y), c) in offsets.iter().zip(c.chunks_mut(each)) {
            T::matmul(ctx, size, &a[x..], &b[y..], c);
        }
    }
}

/// The matrix with rows and columns exchanged, of `rows` rows and without gaps.
pub(crate) fn transposed<T: Number>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut y = vec![T::default(); rows * columns];
    // Blocks, so that both sides stay in the cache.
    for i0 in (0..rows).step_by(16) {
        for j0 in (0..columns).step_by(16) {
            for i in i0..rows.min(i0 + 16) {
                for j in j0..columns.min(j0 + 16) {
                    y[j * rows + i] = x[i * columns + j];
                }
            }
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of small integers, which floats hold exactly, for sizes around those of tiles.
    #[test]
    fn any_size_and_distance_of_rows() {
        for threads in [1, 2] {
            let ctx = Context::new(threads).unwrap();
            for (m, n, k) in
                [(1, 1, 1), (1, 700, 5), (3, 9, 4), (4, 8, 0), (5, 17, 300), (70, 33, 7), (0, 3, 2)]
            {
                let (lda, ldb, ldc) = (k + 1, n + 2, n + 3);
                let a: Vec<f32> = (0..m * lda).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
                let b: Vec<f32> = (0..k * ldb).map(|i| (i * 5 % 13) as f32 - 6.0).collect();
                let mut c = vec![99.0; (m * ldc).max(1)];
                matmul_f32(&ctx, m, n, k, &a, lda, &b, ldb, &mut c, ldc);
                for i in 0..m {
                    for j in 0..ldc {
                        let sum: f32 =
                            (0..k).map(|p| if j < n { a[i * lda + p] * b[p * ldb + j] } else { 0.0 }).sum();
                        let expected = if j < n { sum } else { 99.0 };
                        assert_eq!(c[i * ldc + j], expected, "{m} {n} {k}: {i} {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn integers_wrap() {
        let mut c = [0u8; 1];
        block(Size::packed(1, 1, 2), &[200, 200], &[2, 1], &mut c);
        assert_eq!(c, [88]);
    }

    #[test]
    fn rows_become_columns() {
        assert_eq!(transposed(&[1, 2, 3, 4, 5, 6], 2, 3), [1, 4, 2, 5, 3, 6]);
    }
}
