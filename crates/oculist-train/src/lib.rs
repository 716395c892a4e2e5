//! Training of graphs: executor, losses, optimisers, schedules, checkpoints, distillation.
