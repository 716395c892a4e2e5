//! Oculist as a library: the recipes that chain data, training, compression, export and report.
