//! Values of an annotation file that may be of any type: what is not of the right one is nothing, not an error.

use crate::limits::MAX_SAMPLES;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// A number, or text of digits.
#[derive(Clone, Copy, Default)]
pub(super) enum Scalar {
    Whole(u64),
    Real(f64),
    /// Text, with its whole number if it is one.
    Text(Option<u64>),
    #[default]
    Other,
}

impl Scalar {
    /// A whole number of at least 0, as an id is.
    pub(super) fn id(self) -> Option<u64> {
        match self {
            Self::Whole(value) => Some(value),
            Self::Text(value) => value,
            // Tables that went through floating point.
            Self::Real(value) if (0.0..9e15).contains(&value) && value.fract() == 0.0 => Some(value as u64),
            _ => None,
        }
    }

    /// A finite number.
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Whole(value) => Some(value as f64),
            Self::Real(value) => Some(value).filter(|value| value.is_finite()),
            _ => None,
        }
    }
}

/// Text, or a number as text.
#[derive(Default)]
pub(super) struct Text(pub(super) Option<String>);

/// Four numbers; None for anything else.
#[derive(Default)]
pub(super) struct Four(pub(super) Option<[f64; 4]>);

/// An object of the expected kind, or nothing.
pub(super) struct Object<T>(pub(super) Option<T>);

/// A list of objects, of bounded length.
pub(super) struct Objects<T>(pub(super) Vec<Option<T>>);

/// Visits that end in nothing.
macro_rules! nothing_for {
    ($value:expr; $($kind:ident)*) => { $(nothing_for!(@ $kind $value);)* };
    (@ scalars $value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($value) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($value) }
    };
    (@ text $value:expr) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($value) }
    };
    (@ unit $value:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($value) }
    };
    (@ seq $value:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
    (@ map $value:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Whole(u64::from(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::Whole(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Real(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Real(value))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.trim().parse().ok()))
            }
            nothing_for!(Scalar::Other; unit seq map);
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
                Ok(Text(Some(value.to_string())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
                Ok(Text(Some(value.to_string())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
                Ok(Text(Some(value.to_string())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned()).filter(|text| !text.is_empty())))
            }
            nothing_for!(Text(None); unit seq map);
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Four {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Four;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Four, A::Error> {
                let (mut four, mut found, mut numbers) = ([0.0; 4], 0, true);
                while let Some(value) = seq.next_element::<Scalar>()? {
                    match (four.get_mut(found), value.number()) {
                        (Some(place), Some(number)) => *place = number,
                        _ => numbers = false,
                    }
                    found += 1;
                }
                Ok(Four((numbers && found == 4).then_some(four)))
            }
            nothing_for!(Four(None); scalars text unit map);
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
            }
            nothing_for!(Object(None); scalars text unit seq);
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Objects<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Objects<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Objects<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(Object(object)) = seq.next_element()? {
                    if all.len() >= MAX_SAMPLES {
                        return Err(A::Error::custom(format!("a list of more than {MAX_SAMPLES} entries")));
                    }
                    all.push(object);
                }
                Ok(Objects(all))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}
