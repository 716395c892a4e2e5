//! Plans a graph once and runs it many times, in f32 and int8.
