//! The decoder from outside.

mod damage;
mod family;
mod layouts;
mod oracle;
mod regions;
mod writer;
