//! Integration tests: training steps against PyTorch, resuming, refusals.

mod it {
    mod golden_steps;
    mod nets;
    mod runs;
}
