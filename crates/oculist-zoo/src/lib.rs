//! The architectures of the literature as graph builders.
