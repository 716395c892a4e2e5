//! Integration tests: training steps against PyTorch, resuming, refusals.

mod it {
    mod consistency;
    mod damage;
    mod engine;
    mod engines;
    mod golden_steps;
    mod golden_tuning;
    mod graphs;
    mod losses;
    mod multi_label;
    mod nets;
    mod plain;
    mod refusals;
    mod runs;
    mod sizes;
    mod statistics;
    mod teacher;
    mod tuning;
    mod zoo;
}
