//! Numbers of bytes as users write them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes; in text also as `64K`, `512M` or `2G`, powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Number", into = "u64")]
pub struct ByteSize(pub u64);

/// How a [`ByteSize`] may stand in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

impl TryFrom<Number> for ByteSize {
    type Error = String;

    fn try_from(number: Number) -> Result<Self, String> {
        match number {
            Number::Plain(n) => Ok(Self(n)),
            Number::Text(text) => text.parse(),
        }
    }
}

impl From<ByteSize> for u64 {
    fn from(size: ByteSize) -> Self {
        size.0
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a number of bytes such as 1000000, 512M or 2G, found `{text}`");
        let (digits, shift) = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
            Some(b'K') => (&text[..text.len() - 1], 10),
            Some(b'M') => (&text[..text.len() - 1], 20),
            Some(b'G') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        // A sign is no digit.
        let n = Some(digits)
            .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|d| d.parse::<u64>().ok());
        n.and_then(|n| n.checked_mul(1 << shift)).map(Self).ok_or_else(wrong)
    }
}
