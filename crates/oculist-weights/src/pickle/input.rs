//! The bytes of a pickle, and the values that stand in them as they are.

use std::borrow::Cow;

use super::opcode as op;
use super::text;
use super::value::Value;
use crate::error::WeightsError;

/// The bytes and how far they were read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The error that the pickle is not as it should be.
    pub(super) fn damaged(&self, problem: impl std::fmt::Display) -> WeightsError {
        WeightsError::format(format!(
            "it is damaged or no file of weights: pickle, byte {}: {problem}",
            self.position
        ))
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], WeightsError> {
        let left = self.bytes.len() - self.position;
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                let taken = &self.bytes[self.position..self.position + length];
                self.position += length;
                Ok(taken)
            }
            _ => Err(WeightsError::format(format!(
                "it is cut short or damaged: pickle, byte {}: expected {length} more bytes, found {left}",
                self.position
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, WeightsError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, WeightsError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WeightsError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WeightsError> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes up to the next line feed, which is left out.
    pub(super) fn line(&mut self) -> Result<&'a [u8], WeightsError> {
        let rest = &self.bytes[self.position..];
        let Some(length) = rest.iter().position(|&b| b == b'\n') else {
            return Err(WeightsError::format(format!(
                "it is cut short or damaged: pickle, byte {}: expected a line, found no end of it",
                self.position
            )));
        };
        self.position += length + 1;
        Ok(&rest[..length])
    }

    /// The value of an opcode that holds one; `None` if there is no such opcode.
    pub(super) fn literal(&mut self, opcode: u8) -> Result<Option<Value<'a>>, WeightsError> {
        Ok(Some(match opcode {
            op::INT => {
                let line = self.line()?;
                match line {
                    b"00" => Value::Bool(false),
                    b"01" => Value::Bool(true),
                    _ => self.decimal(line)?,
                }
            }
            op::LONG => {
                let line = self.line()?;
                self.decimal(line.strip_suffix(b"L").unwrap_or(line))?
            }
            op::BININT => Value::Int(self.array().map(i32::from_le_bytes)?.into()),
            op::BININT1 => Value::Int(self.byte()?.into()),
            op::BININT2 => Value::Int(self.u16()?.into()),
            op::LONG1 => {
                let length = self.byte()?;
                long(self.take(length.into())?)
            }
            op::LONG4 => {
                // Negative lengths, which Python refuses, are beyond any file as unsigned ones.
                let length = self.u32()?;
                long(self.take(length.into())?)
            }
            op::FLOAT => {
                let line = self.line()?;
                let number = std::str::from_utf8(line).ok().and_then(|t| t.trim().parse().ok());
                Value::Float(number.ok_or_else(|| self.damaged("expected a number"))?)
            }
            op::BINFLOAT => Value::Float(self.array().map(f64::from_be_bytes)?),
            op::STRING => {
                let line = self.line()?;
                let bytes = text::unquoted(line).ok_or_else(|| self.damaged("expected a text in quotes"))?;
                match String::from_utf8(bytes) {
                    Ok(text) => Value::Text(Cow::Owned(text)),
                    Err(other) => Value::Bytes(Cow::Owned(other.into_bytes())),
                }
            }
            op::UNICODE => {
                let line = self.line()?;
                Value::Text(Cow::Owned(
                    text::unescaped(line)
                        .ok_or_else(|| self.damaged("expected a text with valid escapes"))?,
                ))
            }
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => {
                let length = self.byte()?;
                text_or_bytes(self.take(length.into())?)
            }
            op::BINSTRING | op::BINUNICODE => {
                let length = self.u32()?;
                text_or_bytes(self.take(length.into())?)
            }
            op::BINUNICODE8 => {
                let length = self.u64()?;
                text_or_bytes(self.take(length)?)
            }
            op::SHORT_BINBYTES => {
                let length = self.byte()?;
                Value::Bytes(Cow::Borrowed(self.take(length.into())?))
            }
            op::BINBYTES => {
                let length = self.u32()?;
                Value::Bytes(Cow::Borrowed(self.take(length.into())?))
            }
            op::BINBYTES8 | op::BYTEARRAY8 => {
                let length = self.u64()?;
                Value::Bytes(Cow::Borrowed(self.take(length)?))
            }
            _ => return Ok(None),
        }))
    }

    fn decimal(&self, line: &[u8]) -> Result<Value<'a>, WeightsError> {
        let text = std::str::from_utf8(line).map(str::trim).unwrap_or_default();
        if let Ok(number) = text.parse() {
            return Ok(Value::Int(number));
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(self.damaged("expected a number"));
        }
        Ok(Value::Long(text.parse().ok().map(Box::new)))
    }
}

/// Python 2 wrote texts as bytes; what is no UTF-8 stays bytes.
fn text_or_bytes(bytes: &[u8]) -> Value<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::Text(Cow::Borrowed(text)),
        Err(_) => Value::Bytes(Cow::Borrowed(bytes)),
    }
}

/// An integer in two's complement, little-endian.
fn long<'a>(bytes: &[u8]) -> Value<'a> {
    let sign = if bytes.last().is_some_and(|&b| b >= 0x80) { 0xff } else { 0 };
    let mut whole = [sign; 16];
    let (head, tail) = bytes.split_at(bytes.len().min(16));
    whole[..head.len()].copy_from_slice(head);
    let number = i128::from_le_bytes(whole);
    let fits = tail.iter().all(|&b| b == sign) && (tail.is_empty() || (number < 0) == (sign == 0xff));
    match i64::try_from(number) {
        _ if !fits => Value::Long(None),
        Ok(short) => Value::Int(short),
        Err(_) => Value::Long(Some(Box::new(number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_of_every_length() {
        assert_eq!(long(&[]), Value::Int(0));
        assert_eq!(long(&[0xff]), Value::Int(-1));
        assert_eq!(long(&[0xff, 0]), Value::Int(255));
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]), Value::Int(i64::MIN));
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]), Value::Long(Some(Box::new(1 << 63))));
        assert_eq!(long(&[0xff; 40]), Value::Int(-1));
        let mut large = [0; 17];
        large[16] = 1;
        assert_eq!(long(&large), Value::Long(None));
        large[16] = 0;
        large[15] = 0x80;
        assert_eq!(long(&large), Value::Long(None));
    }
}
