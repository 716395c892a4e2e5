//! Image augmentation: pure functions of image, parameters and an explicit generator.
