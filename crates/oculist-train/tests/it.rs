//! Integration tests: training steps against PyTorch, resuming, refusals.

mod it {
    mod golden_steps;
    mod losses;
    mod nets;
    mod runs;
}
