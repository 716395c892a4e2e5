//! Texts with escapes, as protocol 0 writes them.

/// The bytes of a text in Python's quotes.
pub(super) fn unquoted(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let quote = *line.first()?;
    if !matches!(quote, b'\'' | b'"') || line.len() < 2 || line.last() != Some(&quote) {
        return None;
    }
    let mut rest = line[1..line.len() - 1].iter().copied();
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let plain = match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'x' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            same @ (b'\\' | b'\'' | b'"') => same,
            other => {
                bytes.push(b'\\');
                other
            }
        };
        bytes.push(plain);
    }
    Some(bytes)
}

/// A text whose characters beyond Latin-1 are `\uXXXX` or `\UXXXXXXXX`.
pub(super) fn unescaped(line: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let digits = match (byte, line.get(at + 1)) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                at += 1;
                continue;
            }
        };
        let code = std::str::from_utf8(line.get(at + 2..at + 2 + digits)?).ok()?;
        // A half of a surrogate pair has no character of its own.
        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?).unwrap_or(char::REPLACEMENT_CHARACTER));
        at += 2 + digits;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unquoted(br"'a\x41\n\\\'\q'").unwrap(), b"aA\n\\'\\q");
        assert_eq!(unescaped(b"\\u00e9\xe9\\U0001f600\\n").unwrap(), "éé😀\\n");
    }

    #[test]
    fn what_is_cut_is_none() {
        for bad in [&b""[..], b"'", b"a", b"'a", b"'a\"", br"'\'", br"'\x4'", br"'\xzz'"] {
            assert_eq!(unquoted(bad), None, "{bad:?}");
        }
        for bad in [&b"\\u"[..], b"\\u123", b"\\U0001f60", b"\\uzzzz"] {
            assert_eq!(unescaped(bad), None, "{bad:?}");
        }
    }
}
