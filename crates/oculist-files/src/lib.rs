//! Opening files, files that appear whole or not at all, folders that one process writes at a time, and digests of what was read.
//!
//! [`open`] and [`read`] take regular files only, never a pipe or a device. [`write()`] writes beside a file's place and renames. What a killed process leaves beside it is found by its name and
//! removed by [`remove_leftovers`], unless a live process is writing it. A [`FolderLock`] says which process a folder
//! belongs to for as long as that process lives. A [`Digest`] tells other content from the same, and a [`Stamp`] spares
//! reading a file again whose size, times and inode have not changed. [`seal`] lets a text file prove that it is as it
//! was written.

mod clock;
mod digest;
mod leftovers;
mod lock;
mod regular;
mod sealed;
mod stamp;
mod write;

pub use clock::utc_text;
pub use digest::{Digest, Hasher};
pub use leftovers::{Leftovers, remove_leftovers, remove_leftovers_below};
pub use lock::{FolderLock, Holder, LOCK_FILE, LockError, RESULT_MARK};
pub use regular::{irregular, open, read, read_to_string};
pub use sealed::{Broken, Seal, seal, unseal};
pub use stamp::Stamp;
pub use write::{check_writable, sync_folder, write};
