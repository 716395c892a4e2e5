//! Measures of one plane of grey levels.

/// Averages a plane of grey levels into another size; each new pixel is the mean of the area that it covers.
///
/// Edges of new pixels may cut old ones; those count by the covered part. Enlarging repeats and blends pixels by the
/// same rule. Rounded to the nearest, halves up.
///
/// # Panics
/// If `grey` is not `width * height` or a side is 0.
pub fn area_resize(
    grey: &[u8],
    (width, height): (usize, usize),
    (new_width, new_height): (usize, usize),
) -> Vec<u8> {
    assert!(grey.len() == width * height && width > 0 && height > 0, "plane of {width}x{height}");
    assert!(new_width > 0 && new_height > 0, "new size {new_width}x{new_height}");
    if (width, height) == (new_width, new_height) {
        return grey.to_vec();
    }
    let (columns, rows) = (coverage(width, new_width), coverage(height, new_height));
    let mut narrow = vec![0f32; new_width * height];
    for (row, out) in grey.chunks_exact(width).zip(narrow.chunks_exact_mut(new_width)) {
        for ((first, weights), out) in columns.iter().zip(out) {
            *out = row[*first..].iter().zip(weights).map(|(&v, w)| f32::from(v) * w).sum();
        }
    }
    let mut result = Vec::with_capacity(new_width * new_height);
    let mut line = vec![0f32; new_width];
    for (first, weights) in &rows {
        line.fill(0.0);
        for (row, w) in narrow[first * new_width..].chunks_exact(new_width).zip(weights) {
            for (sum, v) in line.iter_mut().zip(row) {
                *sum += v * w;
            }
        }
        result.extend(line.iter().map(|v| (v + 0.5) as u8));
    }
    result
}

/// For each of `to` equal parts of 0..`from`: the first cell it touches and the part of it in each touched cell.
fn coverage(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    (0..to)
        .map(|i| {
            // In units of 1 / to of a cell, all whole numbers.
            let (low, high) = (i * from, (i + 1) * from);
            let (first, last) = (low / to, (high - 1) / to);
            let part = |cell: usize| (high.min((cell + 1) * to) - low.max(cell * to)) as f32 / from as f32;
            (first, (first..=last).map(part).collect())
        })
        .collect()
}

/// Variance of the discrete Laplacian (centre -4, the four neighbours 1) of a plane of grey levels.
///
/// Borders are mirrored without repeating the edge.
///
/// # Panics
/// If `grey` is not `width * height` or a side is 0.
///
/// # Source
/// Pech-Pacheco et al. 2000; kernel and border as `cv2.Laplacian` with an aperture of 1.
pub fn laplacian_variance(grey: &[u8], (width, height): (usize, usize)) -> f64 {
    assert!(grey.len() == width * height && width > 0 && height > 0, "plane of {width}x{height}");
    let mirrored = |i: usize, n: usize| {
        (if i == 0 { 1.min(n - 1) } else { i - 1 }, if i + 1 == n { n.saturating_sub(2) } else { i + 1 })
    };
    let (mut sum, mut squares) = (0i64, 0i64);
    for y in 0..height {
        let (up, down) = mirrored(y, height);
        let (row, up, down) = (&grey[y * width..], &grey[up * width..], &grey[down * width..]);
        for x in 0..width {
            let (left, right) = mirrored(x, width);
            let around = i64::from(row[left]) + i64::from(row[right]) + i64::from(up[x]) + i64::from(down[x]);
            let value = around - 4 * i64::from(row[x]);
            sum += value;
            squares += value * value;
        }
    }
    let n = grey.len() as f64;
    squares as f64 / n - (sum as f64 / n).powi(2)
}

/// Counts of the 256 grey levels.
pub(super) fn histogram(grey: &[u8]) -> [u64; 256] {
    let mut counts = [0; 256];
    for &v in grey {
        counts[usize::from(v)] += 1;
    }
    counts
}

/// Shannon entropy of the grey levels, bits, 0..=8.
pub fn entropy(grey: &[u8]) -> f64 {
    let n = grey.len().max(1) as f64;
    let bits = |&c: &u64| -(c as f64 / n) * (c as f64 / n).log2();
    // A sum of nothing is -0.
    histogram(grey).iter().filter(|&&c| c > 0).map(bits).sum::<f64>().max(0.0)
}

/// The `q`-th percentile of the grey levels, 0..=255, with linear interpolation between ranks.
///
/// # Panics
/// Without grey levels.
///
/// # Source
/// The definition of `numpy.percentile` (Hyndman and Fan's method 7).
pub fn percentile(grey: &[u8], q: f64) -> f64 {
    assert!(!grey.is_empty(), "percentile of nothing");
    of_counts(&histogram(grey), grey.len(), q)
}

pub(super) fn of_counts(counts: &[u64; 256], n: usize, q: f64) -> f64 {
    let rank = q / 100.0 * (n - 1) as f64;
    let value_at = |k: u64| {
        let mut seen = 0;
        counts
            .iter()
            .position(|c| {
                seen += c;
                seen > k
            })
            .unwrap_or(255) as f64
    };
    let (low, high) = (value_at(rank.floor() as u64), value_at(rank.ceil() as u64));
    low + (high - low) * (rank - rank.floor())
}
