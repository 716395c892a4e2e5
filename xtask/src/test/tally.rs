//! Sums the result lines of the many test programs that `cargo test` runs.

use std::fmt;

/// Tests by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds a line such as `test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; ...`;
    /// other lines change nothing.
    pub(crate) fn add(&mut self, line: &str) {
        let Some((_, results)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for result in results.split(';') {
            let Some((count, name)) = result.trim().split_once(' ') else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match name.trim() {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    /// Whether no test ran.
    pub(crate) fn is_empty(self) -> bool {
        self.passed + self.failed == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} skipped", self.ignored)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up_and_others_do_not_count() {
        let mut tally = Tally::default();
        assert!(tally.is_empty());
        tally.add("running 3 tests\n");
        tally.add("test a ... ok\n");
        tally.add(
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s\n",
        );
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 1 skipped");
        tally.add("test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(tally.to_string(), "5 passed, 4 failed, 1 skipped");
        assert!(!tally.is_empty());
    }
}
