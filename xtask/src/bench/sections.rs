//! Sections of a page, each replaced when it is measured again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::row;

/// Which section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    /// What it is about.
    pub(crate) name: &'a str,
    /// The kind of machine that it belongs to, where each kind has a section of its own.
    pub(crate) kind: Option<&'a str>,
    pub(crate) heading: &'a str,
}

impl Section<'_> {
    /// Puts a text in the place of the section that lies between its marks; a new section goes behind those of other
    /// kinds of machines, or to the end.
    pub(crate) fn replace(self, path: &Path, text: &str) -> Result<()> {
        let old = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Benchmarks\n".into(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        row::replace(path, &self.inserted(&old, text))
    }

    fn inserted(self, old: &str, text: &str) -> String {
        let name = match self.kind {
            Some(kind) => format!("{} {kind}", self.name),
            None => self.name.to_string(),
        };
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
        let mut body = format!("{begin}{text}{end}");
        let place = old.find(&begin).zip(old.find(&end));
        if let Some((from, to)) = place.filter(|(from, to)| from < to) {
            return format!("{}{body}{}", &old[..from], &old[to + end.len()..]);
        }
        if let Some(kind) = self.kind {
            body = format!("### {}, {kind}\n\n{body}", self.heading);
            if let Some(at) = self.end_of_the_others(old) {
                return format!("{}\n{body}{}", &old[..at], &old[at..]);
            }
        }
        format!("{old}\n## {}\n\n{body}", self.heading)
    }

    /// Where the last section of the same name for another kind ends.
    fn end_of_the_others(self, old: &str) -> Option<usize> {
        let from = old.rfind(&format!("<!-- end {} ", self.name))?;
        // The mark without a kind is another section's.
        let line = old[from..].split_inclusive('\n').next()?;
        (!line.starts_with(&format!("<!-- end {} -->", self.name))).then_some(from + line.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(kind: Option<&'static str>) -> Section<'static> {
        Section { name: "train", kind, heading: "Training" }
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let page = |old: &str| section(None).inserted(old, "new\n");
        let first = page("# Benchmarks\n");
        assert!(first.contains("## Training\n\n<!-- begin train -->\nnew\n<!-- end train -->\n"));
        let old = first.replace("new", "old") + "after\n";
        assert_eq!(page(&old), first.clone() + "after\n");
    }

    #[test]
    fn a_run_replaces_the_section_of_its_own_kind_of_machine_alone() {
        let body = |kind: &str, text: &str| {
            format!("<!-- begin train {kind} -->\n{text}\n<!-- end train {kind} -->\n")
        };
        let (both, only) = (body("avx512-vnni", "fast"), body("avx512", "slow"));
        let old = format!("# B\n\n{both}\nprose\n{only}after\n");
        let new = section(Some("avx512")).inserted(&old, "new\n");
        assert_eq!(new, format!("# B\n\n{both}\nprose\n{}after\n", body("avx512", "new")));
    }

    #[test]
    fn a_new_kind_goes_behind_the_others_and_a_new_bench_to_the_end() {
        let first = section(Some("avx512")).inserted("# B\n", "one\n");
        assert_eq!(
            first,
            "# B\n\n## Training\n\n### Training, avx512\n\n<!-- begin train avx512 -->\none\n<!-- end train avx512 -->\n"
        );
        let second = section(Some("avx2")).inserted(&(first.clone() + "\n## Other\n"), "two\n");
        let added = "\n### Training, avx2\n\n<!-- begin train avx2 -->\ntwo\n<!-- end train avx2 -->\n";
        assert_eq!(second, format!("{first}{added}\n## Other\n"));
        // Neither a mark without a kind nor the section of a name that begins alike is another kind.
        for old in ["<!-- end train -->\n", "<!-- end training avx512 -->\n"] {
            assert!(section(Some("avx2")).inserted(old, "").starts_with(&format!("{old}\n## Training\n")));
        }
    }
}
