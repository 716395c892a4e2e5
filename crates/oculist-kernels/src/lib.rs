//! CPU kernels for convolutional networks: slices in, slices out.
