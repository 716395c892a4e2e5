//! A run's numbers as HTML, JSON and terminal tables; computes nothing.
