//! The chunks of a WebP file.

/// The chunks with their names, as far as they are there.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, data) = rest.split_first_chunk::<8>()?;
        let [a, b, c, d, length @ ..] = *head;
        let length = u32::from_le_bytes(length) as usize;
        let chunk = data.get(..length)?;
        rest = data.get(length.checked_next_multiple_of(2)?..).unwrap_or_default();
        Some(([a, b, c, d], chunk))
    })
}
