//! What the user leaves out of a folder, a list or an archive.

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Patterns of names: files and folders that fit one are left out.
///
/// A pattern without `/` is compared with the last part of a path, one with `/` with its end: `masks`, `*_mask.png`,
/// `train/old`. `*` stands for any letters, `?` for one, `[ab]` for one of these.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    glob: glob::Pattern,
    /// Parts of a path that it speaks of.
    depth: usize,
    /// Whether anything fitted it, for all clones together.
    fitted: Arc<AtomicBool>,
}

impl Exclude {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`Error::Option`] for an empty pattern or one that is none.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        let read = |text: &S| {
            let text = text.as_ref().trim_end_matches('/');
            let wrong = |problem: String| Error::Option {
                name: "--exclude",
                expected: "a pattern of file names, as in masks or *_mask.png",
                found: format!("\"{text}\" ({problem})"),
            };
            if text.is_empty() {
                return Err(wrong("nothing fits it".into()));
            }
            let glob = glob::Pattern::new(text).map_err(|err| wrong(err.to_string()))?;
            Ok(Pattern { glob, depth: text.split('/').count(), fitted: Arc::default() })
        };
        Ok(Self { patterns: patterns.iter().map(read).collect::<Result<_>>()? })
    }

    /// The first pattern that the end of the path fits.
    pub fn matching(&self, path: &Path) -> Option<&str> {
        if self.patterns.is_empty() {
            return None;
        }
        let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let fits = |pattern: &&Pattern| {
            let depth = pattern.depth;
            parts.len() >= depth && pattern.glob.matches(&parts[parts.len() - depth..].join("/"))
        };
        let mut first = None;
        for pattern in self.patterns.iter().filter(fits) {
            pattern.fitted.store(true, Ordering::Relaxed);
            first.get_or_insert(pattern.glob.as_str());
        }
        first
    }

    /// The first pattern that a name in a list or an archive fits, itself or by a folder on its way.
    pub(crate) fn of_name(&self, name: &Path) -> Option<&str> {
        if self.patterns.is_empty() {
            return None;
        }
        let mut ways: Vec<&Path> = name.ancestors().filter(|way| !way.as_os_str().is_empty()).collect();
        // As in a walk, the outermost folder that is left out counts.
        ways.reverse();
        ways.into_iter().find_map(|way| self.matching(way))
    }

    /// The patterns that nothing fitted so far.
    pub(crate) fn unfitted(&self) -> impl Iterator<Item = &str> {
        let without = self.patterns.iter().filter(|pattern| !pattern.fitted.load(Ordering::Relaxed));
        without.map(|pattern| pattern.glob.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_names_or_of_the_end_of_a_path() {
        let exclude = Exclude::new(&["masks", "*_mask.*", "train/old/"]).unwrap();
        let of = |path: &str| exclude.matching(Path::new(path)).map(str::to_owned);
        assert_eq!(of("/data/masks"), Some("masks".into()));
        assert_eq!(of("/data/unmasks"), None);
        assert_eq!(of("a/b_mask.png"), Some("*_mask.*".into()));
        assert_eq!(of("data/train/old"), Some("train/old".into()));
        assert_eq!(of("data/test/old"), None);
        assert_eq!(of("old"), None);
        assert!(Exclude::default().matching(Path::new("masks")).is_none());
        let names = Exclude::new(&["masks", "p0*", "none"]).unwrap();
        assert_eq!(names.of_name(Path::new("a/masks/b.png")), Some("masks"));
        assert_eq!(names.of_name(Path::new("a/p07.png")), Some("p0*"));
        assert_eq!(names.of_name(Path::new("a/q07.png")), None);
        assert_eq!(names.unfitted().collect::<Vec<_>>(), ["none"]);
        for wrong in ["", "/", "a[", "***"] {
            let text = Exclude::new(&[wrong]).unwrap_err().to_string();
            assert!(text.starts_with("--exclude must be a pattern"), "{text}");
        }
    }
}
