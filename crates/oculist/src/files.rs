//! Files that appear whole or not at all, and what is wrong with those that are read.

use std::path::Path;

use crate::error::OculistError;

/// Writes a file whole or not at all, and its folder if need be.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), OculistError> {
    make_folder(path)?;
    oculist_train::write_atomically(path, bytes)
        .map_err(|e| OculistError::Output { path: path.to_path_buf(), problem: e.to_string() })
}

/// Makes the folder that a file is to be in.
pub(crate) fn make_folder(path: &Path) -> Result<(), OculistError> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|e| OculistError::Output { path: path.to_path_buf(), problem: e.to_string() })
}

/// What is wrong with a TOML text, in one line with the place: `line 2, column 5: ...`.
pub(crate) fn toml_problem(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim_end().replace('\n', "; ");
    let Some(span) = error.span() else { return message };
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_in_toml_is_one_line_with_its_place() {
        for (text, place) in
            [("a = 1\nb = = 2", "line 2, column 5: "), ("[s]\nx = \"y\" z", "line 2, column ")]
        {
            let error = toml::from_str::<toml::Table>(text).unwrap_err();
            let problem = toml_problem(&error, text);
            assert!(problem.starts_with(place) && !problem.contains('\n'), "{problem}");
        }
    }
}
