//! The decoder from outside.

mod damage;
mod oracle;
mod regions;
