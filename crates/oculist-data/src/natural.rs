//! The order in which people list names: `class2` before `class10`.

use std::cmp::Ordering;
use std::ffi::OsStr;

/// [`natural_cmp`] of names as the system has them; names that are shown alike are ordered by their bytes.
pub fn natural_cmp_os(a: &OsStr, b: &OsStr) -> Ordering {
    natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b))
}

/// Compares names with runs of digits as numbers; equal numbers with leading zeros fall back to the bytes.
pub fn natural_cmp(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(&p), Some(&q)) = (x.first(), y.first()) else {
            return x.len().cmp(&y.len()).then_with(|| a.cmp(b));
        };
        if p.is_ascii_digit() && q.is_ascii_digit() {
            let (m, n) = (digits(x), digits(y));
            let order = number(&x[..m]).len().cmp(&number(&y[..n]).len());
            let order = order.then_with(|| number(&x[..m]).cmp(number(&y[..n])));
            if order.is_ne() {
                return order;
            }
            (x, y) = (&x[m..], &y[n..]);
        } else if p == q {
            (x, y) = (&x[1..], &y[1..]);
        } else {
            return p.cmp(&q);
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

fn number(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&c| c == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut names = vec!["10", "9", "a10b2", "a10b10", "a9", "b", "a", "01", "1", "001", "é", ""];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, ["", "001", "01", "1", "9", "10", "a", "a9", "a10b2", "a10b10", "b", "é"]);
    }
}
