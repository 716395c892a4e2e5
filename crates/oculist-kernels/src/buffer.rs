//! Memory that starts at the beginning of a cache line.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::KernelError;
use crate::memory::refused;

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;
/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// A fixed number of f32, zeroed at first, aligned to a cache line, or to a huge page if there are enough of them.
///
/// A `Vec<f32>` usually starts sixteen bytes into a line, so that every block of sixteen channels straddles two
/// lines. Kernels work on any slice, but are faster on these.
pub struct Buffer {
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: the buffer owns its memory, as a `Vec<f32>` does.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zeros.
    ///
    /// # Panics
    /// When `len` f32 exceed the address space.
    pub fn zeroed(len: usize) -> Self {
        let layout = Self::layout(len).unwrap_or_else(|| panic!("{len} f32 exceed the address space"));
        Self::allocated(len, layout).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// `len` zeros for `what`, whose size comes from a file or an option.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] if the system does not give so much.
    pub fn try_zeroed(len: usize, what: &str) -> Result<Self, KernelError> {
        Self::layout(len)
            .and_then(|layout| Self::allocated(len, layout))
            .ok_or_else(|| refused(what, len.saturating_mul(size_of::<f32>())))
    }

    fn allocated(len: usize, layout: Layout) -> Option<Self> {
        if len == 0 {
            return Some(Self { start: NonNull::dangling(), len });
        }
        // SAFETY: the layout has a size above 0.
        let memory = unsafe { alloc(layout) };
        #[expect(clippy::cast_ptr_alignment, reason = "the layout is aligned to more than an f32")]
        let start = NonNull::new(memory.cast::<f32>())?;
        ask_for_huge_pages(memory, layout);
        // SAFETY: `len` f32 were allocated; the first write comes after the request for huge pages.
        unsafe { start.as_ptr().write_bytes(0, len) };
        Some(Self { start, len })
    }

    fn layout(len: usize) -> Option<Layout> {
        let bytes = len.checked_mul(size_of::<f32>()).and_then(|b| b.checked_next_multiple_of(LINE))?;
        let align = if bytes >= HUGE_PAGE { HUGE_PAGE } else { LINE };
        Layout::from_size_align(bytes, align).ok()
    }
}

/// `len` zeros in a vector, for `what`, whose size comes from a file or an option. As with `vec![0.0; len]`, pages that
/// the system gives as zeros are not written.
///
/// # Errors
/// [`KernelError::NoMemory`] if the system does not give so much.
pub fn try_zeros(len: usize, what: &str) -> Result<Vec<f32>, KernelError> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let none = || refused(what, len.saturating_mul(size_of::<f32>()));
    let layout = Layout::array::<f32>(len).map_err(|_| none())?;
    // SAFETY: the layout has a size above 0.
    let memory = unsafe { alloc_zeroed(layout) };
    #[expect(clippy::cast_ptr_alignment, reason = "the layout is that of f32")]
    let start = NonNull::new(memory.cast::<f32>()).ok_or_else(none)?;
    // SAFETY: the memory was allocated for an array of `len` f32, and zeroed bytes are zeros.
    #[expect(clippy::same_length_and_capacity, reason = "all that was allocated is filled")]
    let zeros = unsafe { Vec::from_raw_parts(start.as_ptr(), len, len) };
    Ok(zeros)
}

/// Asks the system to back large buffers with huge pages: fewer page faults at first, fewer misses of the address
/// translation later. A system that refuses does no harm.
fn ask_for_huge_pages(memory: *mut u8, layout: Layout) {
    // Miri knows no `madvise`.
    #[cfg(all(target_os = "linux", not(miri)))]
    if layout.align() == HUGE_PAGE {
        // SAFETY: the range was just allocated, and the advice does not change what is in it.
        unsafe { libc::madvise(memory.cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (memory, layout);
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0
            && let Some(layout) = Self::layout(self.len)
        {
            // SAFETY: the memory was allocated with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `len` f32 were allocated and zeroed; a dangling pointer is aligned and allowed for none.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as for `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        let mut buffer = Self::zeroed(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_does_not_give_is_an_error() {
        assert_eq!(Buffer::try_zeroed(5, "it").unwrap().len(), 5);
        // Within the address space as a number, but not as memory; and not even as a number.
        for len in [1 << 57, usize::MAX] {
            let text = Buffer::try_zeroed(len, "the plan of `net`").unwrap_err().to_string();
            assert!(text.starts_with("the plan of `net` needs") && text.contains("does not give"), "{text}");
        }
    }

    #[test]
    fn a_vector_of_zeros_is_one_or_an_error() {
        let mut values = try_zeros(3, "it").unwrap();
        assert_eq!(values, [0.0; 3]);
        values.extend([1.0; 9]);
        assert!(try_zeros(0, "it").unwrap().is_empty());
        for len in [1 << 57, usize::MAX] {
            let text = try_zeros(len, "the batch").unwrap_err().to_string();
            assert!(text.starts_with("the batch needs") && text.contains("does not give"), "{text}");
        }
    }

    #[test]
    fn starts_on_a_line_and_holds_zeros() {
        for len in [0, 1, 16, 1000, 1 << 20] {
            let mut buffer = Buffer::zeroed(len);
            assert!(buffer.len() == len && buffer.iter().all(|v| *v == 0.0));
            assert!(len == 0 || buffer.as_ptr().addr().is_multiple_of(LINE));
            buffer.fill(3.0);
            let copy = buffer.clone();
            drop(buffer);
            assert!(copy.iter().all(|v| *v == 3.0));
        }
    }
}
