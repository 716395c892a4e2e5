//! What the user leaves out of a folder.

use crate::error::{Error, Result};
use std::path::Path;

/// Patterns of names: files and folders that fit one are left out.
///
/// A pattern without `/` is compared with the last part of a path, one with `/` with its end: `masks`, `*_mask.png`,
/// `train/old`. `*` stands for any letters, `?` for one, `[ab]` for one of these.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    patterns: Vec<(glob::Pattern, usize)>,
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
            let pattern = glob::Pattern::new(text).map_err(|err| wrong(err.to_string()))?;
            Ok((pattern, text.split('/').count()))
        };
        Ok(Self { patterns: patterns.iter().map(read).collect::<Result<_>>()? })
    }

    /// The first pattern that the end of the path fits.
    pub fn matching(&self, path: &Path) -> Option<&str> {
        if self.patterns.is_empty() {
            return None;
        }
        let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let fits = |(pattern, depth): &&(glob::Pattern, usize)| {
            parts.len() >= *depth && pattern.matches(&parts[parts.len() - depth..].join("/"))
        };
        self.patterns.iter().find(fits).map(|(pattern, _)| pattern.as_str())
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
        for wrong in ["", "/", "a[", "***"] {
            let text = Exclude::new(&[wrong]).unwrap_err().to_string();
            assert!(text.starts_with("--exclude must be a pattern"), "{text}");
        }
    }
}
