//! Values of a recipe's file: what JSON has, and every number finite.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What TOML calls a date where it is read as any value.
const DATE: &str = "$__toml_private_datetime";

/// A value without dates, and without NaN and infinities, which JSON would read as nothing.
pub(super) struct Plain(pub(super) Value);

impl<'de> serde::Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Any.deserialize(from).map(Self)
    }
}

#[derive(Clone, Copy)]
struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a finite number, true, false, a list or a table")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let finite = Number::from_f64(value).map(Value::Number);
        finite.ok_or_else(|| E::custom(format!("expected a finite number, found {value}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = list.next_element_seed(Any)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = table.next_key::<String>()? {
            if key == DATE {
                return Err(A::Error::custom("expected no date: a text in quotes, or a number"));
            }
            let value = table.next_value_seed(Any)?;
            if all.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("`{key}` is there twice")));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> Result<Value, String> {
        ::toml::from_str::<Plain>(text).map(|plain| plain.0).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn values_are_those_of_json_and_what_it_has_not_is_named() {
        let value = toml("a = 1\nb = 18446744073709551615\nc = [0.5, \"x\", true]\n[d]\ne = -3").unwrap();
        let same = serde_json::json!({
            "a": 1, "b": u64::MAX, "c": [0.5, "x", true], "d": { "e": -3 },
        });
        assert_eq!(value, same);
        for text in ["a = nan", "a = [1.0, -inf]"] {
            let problem = toml(text).unwrap_err();
            assert!(problem.contains("expected a finite number"), "{problem}");
        }
        assert!(toml("a = 1979-05-27").unwrap_err().contains("expected no date"));
        let twice = serde_json::from_str::<Plain>(r#"{"a": 1, "a": 2}"#).map(|plain| plain.0).unwrap_err();
        assert!(twice.to_string().contains("`a` is there twice"), "{twice}");
    }
}
