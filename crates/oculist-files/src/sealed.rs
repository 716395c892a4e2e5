//! Text files that prove to be as they were written.

use thiserror::Error;

use crate::Digest;

/// How the checksum stands in the last line, so that the file stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// As a comment of TOML.
    Toml,
    /// As an object of JSON.
    Json,
}

impl Seal {
    /// What is before and after the digest.
    fn around(self) -> [&'static str; 2] {
        match self {
            Self::Toml => ["# checksum: ", "\n"],
            Self::Json => ["{\"checksum\":\"", "\"}\n"],
        }
    }
}

/// Why a sealed text is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Broken {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is no text.
    #[error("it is not UTF-8")]
    NoText,
    /// The last line is no checksum.
    #[error("its last line is no checksum: it is cut short, or was written by an older version")]
    Unsealed,
    /// The checksum is that of another text.
    #[error("its checksum does not fit: it was changed or damaged")]
    Changed,
}

/// The text with its checksum in a line of its own at the end.
pub fn seal(text: &str, how: Seal) -> String {
    let [before, after] = how.around();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{end}");
    let digest = Digest::of(text.as_bytes());
    format!("{text}{before}{digest}{after}")
}

/// The text that [`seal`] was given (with its last line ended), if nothing has changed since.
///
/// # Errors
/// [`Broken`].
pub fn unseal(bytes: &[u8], how: Seal) -> Result<&str, Broken> {
    if bytes.is_empty() {
        return Err(Broken::Empty);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Broken::NoText)?;
    let [before, after] = how.around();
    let (text, digest) = text
        .strip_suffix(after)
        .and_then(|rest| rest.split_at_checked(rest.len().checked_sub(64)?))
        .and_then(|(rest, digest)| Some((rest.strip_suffix(before)?, digest.parse::<Digest>().ok()?)))
        .ok_or(Broken::Unsealed)?;
    if Digest::of(text.as_bytes()) == digest { Ok(text) } else { Err(Broken::Changed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_shows() {
        for how in [Seal::Toml, Seal::Json] {
            for text in ["", "a = 1\n", "[1, 2]\n\"Ü\""] {
                let sealed = seal(text, how);
                let back = unseal(sealed.as_bytes(), how).unwrap();
                assert_eq!(back.trim_end(), text.trim_end());
                for at in 0..sealed.len() {
                    for bit in 0..8 {
                        let mut flipped = sealed.clone().into_bytes();
                        flipped[at] ^= 1 << bit;
                        assert!(unseal(&flipped, how).is_err(), "byte {at}, bit {bit}");
                    }
                    assert!(unseal(&sealed.as_bytes()[..at], how).is_err(), "cut at {at}");
                }
                assert!(unseal(format!("{sealed}\n").as_bytes(), how).is_err());
            }
        }
    }

    #[test]
    fn a_sealed_toml_file_is_a_toml_file() {
        let sealed = seal("a = 1", Seal::Toml);
        assert!(sealed.starts_with("a = 1\n# checksum: "), "{sealed}");
        assert_eq!(unseal(b"a = 1\n", Seal::Toml), Err(Broken::Unsealed), "as older versions wrote it");
    }
}
