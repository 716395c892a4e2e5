//! Data sets: reading, decoding, splitting and batching labelled images.
