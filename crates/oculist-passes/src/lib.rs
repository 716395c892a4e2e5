//! Graph-to-graph passes: folding, channel pruning, quantisation.
