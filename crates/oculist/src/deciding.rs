//! Images that decisions about a finished model are made on, from whatever data there are.

use std::path::Path;

use oculist_data::{Error, Purpose, Split, Subset};

use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::model_file::Model;
use crate::progress::Watch;
use crate::settings::Settings;
use crate::summary::counted;

/// A source with the model's classes, and its images to observe and to choose by.
#[derive(Debug)]
pub(crate) struct Deciding {
    pub(crate) source: Source,
    /// Training images.
    pub(crate) train: Subset,
    /// Validation images.
    pub(crate) val: Subset,
}

impl Deciding {
    /// Opens the data that the settings name and says which images are used.
    ///
    /// The splits are those of training. Data from which training could not draw them, as they have too few images or not
    /// the classes that training needs, serve whole: the same training and validation images are observed and chosen by.
    ///
    /// # Errors
    /// [`OculistError::Model`] for classes that the model does not know; [`OculistError::Setting`] for data that have nothing
    /// but a test split, which decides nothing; otherwise as for [`Source::open`].
    pub(crate) fn open(
        settings: &Settings,
        (path, model): (&Path, &mut Model),
        watch: &mut Watch<'_>,
    ) -> Result<Self, OculistError> {
        let threads = settings.threads();
        let (source, whole) = match Source::open(settings, threads) {
            Ok(source) => (source, None),
            Err(OculistError::Data(error)) if is_about_splits(&error) => {
                (Source::open_for(settings, threads, Purpose::Evaluate)?, Some(error))
            }
            Err(error) => return Err(error),
        };
        for line in source.describe_lines() {
            watch.note(&line);
        }
        model.adopt_classes(source.class_names(), watch);
        let source = model.order_classes(path, source, false, watch)?;
        let (train, val) = (source.split(Split::Train).clone(), source.split(Split::Val).clone());
        let Some(why) = whole else { return Ok(Self { source, train, val }) };
        let both = Subset::joined(&[train, val])?;
        if both.is_empty() {
            let problem = format!(
                "expected training or validation images, found {} and no others; a test split decides nothing: if it \
                 may here, name its folder itself",
                counted(source.split(Split::Test).len(), "test image", "test images")
            );
            return Err(wrong("data", problem));
        }
        watch.note(&format!(
            "the same {} are observed and chosen by, as training could not split them: {why}",
            counted(both.len(), "image", "images")
        ));
        Ok(Self { source, train: both.clone(), val: both })
    }
}

/// Whether it is the splits or classes for training that are missing, not the images.
pub(crate) fn is_about_splits(error: &Error) -> bool {
    if let Error::Hint { source, .. } = error {
        return is_about_splits(source);
    }
    matches!(
        error,
        Error::EmptySplit { .. }
            | Error::EmptyClass { .. }
            | Error::OneClass { .. }
            | Error::UnknownClass { .. }
            | Error::Missing { .. }
            | Error::NoTraining { .. }
    )
}
