//! NumPy's files of one array.
//!
//! # Source
//! `numpy/lib/_format_impl.py`, version 1.0 of the format.

/// A matrix of f32 as `*.npy`.
pub(super) fn bytes(values: &[f32], columns: usize) -> Vec<u8> {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, version and length take 10 bytes; all of the head is filled up to a multiple of 64, with a line break at its end.
    let padding = (64 - (10 + head.len() + 1) % 64) % 64;
    let length = (head.len() + padding + 1) as u16;
    let mut out = Vec::with_capacity(10 + usize::from(length) + 4 * values.len());
    out.extend_from_slice(b"\x93NUMPY\x01\x00");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(head.as_bytes());
    out.resize(out.len() + padding, b' ');
    out.push(b'\n');
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_numpys() {
        let file = bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        // What numpy.save writes for numpy.arange(1, 7, dtype='<f4').reshape(2, 3).
        let mut want =
            b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".to_vec();
        want.resize(127, b' ');
        want.push(b'\n');
        assert_eq!(&file[..128], want);
        assert_eq!((file.len(), &file[128..132]), (128 + 24, &1.0_f32.to_le_bytes()[..]));
    }
}
