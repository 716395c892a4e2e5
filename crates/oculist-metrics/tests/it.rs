//! Integration tests: metrics against scikit-learn and SciPy, and against their definitions written out naively.

mod it {
    mod golden;
    mod naive;
    mod properties;
}
