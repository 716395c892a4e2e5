//! Names of models on the Hub.

use std::fmt;

use crate::HubError;

/// What every such name begins with.
const BEGINNING: &str = "hf:";
/// The revision where none is named.
const DEFAULT_REVISION: &str = "main";
/// Most characters of an owner, a repository or a revision, and of a path.
const MOST_NAME: usize = 96;
const MOST_REVISION: usize = 200;
const MOST_PATH: usize = 1024;

/// A model on the Hub: `hf:OWNER/NAME[@REVISION][/FILE]`.
///
/// ```
/// use oculist_hub::Spec;
/// let spec = Spec::parse("hf:timm/resnet18.a1_in1k@main/model.safetensors")?.expect("it begins with hf:");
/// assert_eq!((spec.repository(), spec.revision()), ("timm/resnet18.a1_in1k", "main"));
/// assert_eq!(spec.file(), Some("model.safetensors"));
/// assert_eq!(Spec::parse("models/resnet.onnx")?, None);
/// # Ok::<(), oculist_hub::HubError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    repository: String,
    revision: String,
    file: Option<String>,
}

impl Spec {
    /// Reads a name; `None` if it does not begin with `hf:`, so that it is a path.
    ///
    /// A revision is a branch, a tag or a commit; a slash in it is written `%2F` (`@refs%2Fpr%2F1`).
    ///
    /// # Errors
    /// [`HubError::Spec`] if a part is no name that the Hub or a file may have: `..`, absolute paths, backslashes and
    /// control characters are refused.
    pub fn parse(text: &str) -> Result<Option<Self>, HubError> {
        let Some(rest) = text.strip_prefix(BEGINNING) else { return Ok(None) };
        let wrong = |problem: String| HubError::Spec { text: text.to_owned(), problem };
        let (owner, rest) = rest
            .split_once('/')
            .ok_or_else(|| wrong("expected a slash between owner and name, found none".into()))?;
        let end = rest.find(['@', '/']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let (revision, rest) = match rest.strip_prefix('@') {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (rest[..end].replace("%2F", "/").replace("%2f", "/"), &rest[end..])
            }
            None => (DEFAULT_REVISION.to_owned(), rest),
        };
        let file = rest.strip_prefix('/');
        check_name("the owner", owner).map_err(wrong)?;
        check_name("the name", name).map_err(wrong)?;
        check_revision(&revision).map_err(wrong)?;
        if let Some(file) = file {
            check_path(file).map_err(|problem| wrong(format!("the file {problem}")))?;
        }
        Ok(Some(Self { repository: format!("{owner}/{name}"), revision, file: file.map(str::to_owned) }))
    }

    /// `OWNER/NAME`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The branch, tag or commit; `main` if none was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The file within the repository, if one was named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINNING}{}", self.repository)?;
        if self.revision != DEFAULT_REVISION {
            write!(f, "@{}", self.revision.replace('/', "%2F"))?;
        }
        self.file.iter().try_for_each(|file| write!(f, "/{file}"))
    }
}

/// Whether a revision is a commit, which never changes: 40 digits of 0 to 9 and a to f.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// # Source
/// `validate_repo_id` of `huggingface_hub`.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() {
        return Err(format!("expected {what}, found nothing; the form is hf:OWNER/NAME[@REVISION][/FILE]"));
    }
    if name.len() > MOST_NAME || !name.chars().all(allowed) {
        return Err(format!("{what} must be 1 to {MOST_NAME} letters, digits and `-`, `_`, `.`"));
    }
    if name.contains("..")
        || name.contains("--")
        || name.starts_with(['-', '.'])
        || name.ends_with(['-', '.'])
    {
        return Err(format!("{what} must not begin or end with `-` or `.` nor hold `--` or `..`"));
    }
    Ok(())
}

/// Names that Git allows, and that are paths below `refs` in the cache.
fn check_revision(revision: &str) -> Result<(), String> {
    if revision.len() > MOST_REVISION {
        return Err(format!("the revision must have at most {MOST_REVISION} characters"));
    }
    if revision.contains(['~', '^', '?', '*', '[', ' ', '@', '%']) {
        return Err("the revision must be the name of a branch or a tag, or a commit".into());
    }
    check_path(revision).map_err(|problem| format!("the revision {problem}"))
}

/// A relative path that stays below its folder on every system. Says what is wrong as the end of a sentence.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("must not be empty".into());
    }
    if path.len() > MOST_PATH {
        return Err(format!("must have at most {MOST_PATH} bytes"));
    }
    if path.starts_with('/') {
        return Err("must not be an absolute path".into());
    }
    if path.contains('\\') {
        return Err("must not hold a backslash; folders are parted by `/`".into());
    }
    // A colon is a drive or a hidden stream on Windows.
    if path.contains(':') || path.chars().any(oculist_text::is_hidden) {
        return Err("must not hold a colon, control characters or characters that cannot be seen".into());
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("must not hold empty parts, `.` or `..`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, Option<String>) {
        let spec = Spec::parse(text).unwrap().unwrap();
        assert_eq!(spec.to_string().parse_again(), spec, "{text}");
        (spec.repository, spec.revision, spec.file)
    }

    trait Again {
        fn parse_again(&self) -> Spec;
    }

    impl Again for String {
        fn parse_again(&self) -> Spec {
            Spec::parse(self).unwrap().unwrap()
        }
    }

    #[test]
    fn every_part_is_found() {
        let made = |r: &str, v: &str, f: Option<&str>| (r.to_owned(), v.to_owned(), f.map(str::to_owned));
        assert_eq!(parts("hf:a/b"), made("a/b", "main", None));
        assert_eq!(parts("hf:a/b/model.onnx"), made("a/b", "main", Some("model.onnx")));
        assert_eq!(parts("hf:a/b@v1.0"), made("a/b", "v1.0", None));
        assert_eq!(parts("hf:a/b@v1/onnx/model.onnx"), made("a/b", "v1", Some("onnx/model.onnx")));
        assert_eq!(parts("hf:a/b/x@2.onnx"), made("a/b", "main", Some("x@2.onnx")));
        assert_eq!(parts("hf:a/b@refs%2Fpr%2F1/x"), made("a/b", "refs/pr/1", Some("x")));
        assert_eq!(parts("hf:a/b/a b é.onnx"), made("a/b", "main", Some("a b é.onnx")));
    }

    #[test]
    fn paths_are_no_names() {
        for text in ["model.onnx", "/hf:a/b", "./hf:a/b", "HF:a/b", "", "http://a/b"] {
            assert_eq!(Spec::parse(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let long = format!("hf:{}/b", "a".repeat(97));
        for text in [
            "hf:",
            "hf:a",
            "hf:/b",
            "hf:a/",
            "hf://a/b",
            "hf:a/b/",
            "hf:a/b@",
            "hf:a/b@/x",
            "hf:../b",
            "hf:a/..",
            "hf:a--b/c",
            "hf:a b/c",
            "hf:a/b/../x",
            "hf:a/b//x",
            "hf:a/b/x/",
            "hf:a/b/./x",
            "hf:a/b/c\\x",
            "hf:a/b/C:x",
            "hf:a/b/x\n",
            "hf:a/b/\u{202e}x",
            "hf:a/b@..",
            "hf:a/b@x%2F..%2Fy",
            "hf:a/b@%2Fetc/x",
            "hf:a/b@a%20b",
            "hf:a/b@a\0",
            "hf:.a/b",
            "hf:a/b-",
            "hf:é/b",
            &long,
        ] {
            let err = Spec::parse(text).unwrap_err();
            assert!(matches!(err, HubError::Spec { .. }), "{text}");
            assert!(!err.to_string().contains(oculist_text_hidden), "{text}: {err}");
        }
    }

    fn oculist_text_hidden(c: char) -> bool {
        oculist_text::is_hidden(c)
    }

    #[test]
    fn commits_are_told_from_branches() {
        assert!(is_commit(&"0a".repeat(20)));
        for other in ["main", &"0A".repeat(20), &"0a".repeat(19), &"0g".repeat(20)] {
            assert!(!is_commit(other), "{other}");
        }
    }
}
