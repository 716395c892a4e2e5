//! What follows from the table of settings: the macro that reads it.

/// Makes of a table of settings, in groups: [`Settings`](super::Settings) with all of them, a struct for each group, their
/// names, how two sets of settings are merged, and the checks of their ranges.
///
/// A row is `name: Type`, or `name: Type where RANGE` with a range of [`crate::range`], which holds for files as for what
/// is typed. Its doc comment is the help of its flag; `#[arg(...)]` says the rest of what clap must know and is left out
/// without the feature `clap`. Every setting is optional, so the types in the structs are `Option<Type>`.
macro_rules! settings {
    ($(
        $(#[doc = $group_doc:tt])*
        $group:ident {
            $(
                $(#[doc = $doc:tt])*
                #[arg($($arg:tt)*)]
                $name:ident: $type:ty $(where $range:ident)?,
            )*
        }
    )*) => {
        /// Settings as given; what is absent is chosen by network and data.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Settings {
            $($(
                $(#[doc = $doc])*
                pub $name: Option<$type>,
            )*)*
        }

        impl Settings {
            /// The names of all settings, as they stand in files.
            pub const NAMES: &'static [&'static str] = &[$($(stringify!($name),)*)*];

            /// These settings where they say something, `under` elsewhere.
            #[must_use]
            pub fn over(self, under: Self) -> Self {
                Self { $($($name: self.$name.or(under.$name),)*)* }
            }

            /// The settings of these names alone.
            #[must_use]
            pub fn only(&self, names: &[&str]) -> Self {
                let mut some = Self::default();
                $($(
                    if names.contains(&stringify!($name)) {
                        some.$name.clone_from(&self.$name);
                    }
                )*)*
                some
            }

            /// Checks the ranges that the table states.
            pub(super) fn check_ranges(&self) -> Result<(), OculistError> {
                $($($(
                    if let Some(value) = &self.$name {
                        $range.check(stringify!($name), value)?;
                    }
                )?)*)*
                Ok(())
            }
        }

        $(
            $(#[doc = $group_doc])*
            #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
            #[cfg_attr(feature = "clap", derive(clap::Args))]
            #[serde(deny_unknown_fields, default)]
            #[non_exhaustive]
            pub struct $group {
                $(
                    $(#[doc = $doc])*
                    #[cfg_attr(feature = "clap", arg($($arg)* $(, value_parser = $range.parser())?))]
                    pub $name: Option<$type>,
                )*
            }

            impl $group {
                /// The names of these settings, as they stand in files.
                pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
            }

            impl From<$group> for Settings {
                fn from(group: $group) -> Self {
                    Self { $($name: group.$name,)* ..Self::default() }
                }
            }
        )*
    };
}

pub(super) use settings;
