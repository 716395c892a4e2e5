//! Knowledge transfer, `y_new = f_new(w_old)`: what a model for another task gives to this one.
//!
//! A source is opened with its own preprocessing ([`carried`]), cut in front of its classifier (`oculist_passes::extractor`), and run
//! once over the images ([`features`]), whose features are kept by content ([`store`]). On them a head is learned ([`heads`]),
//! or the rows of the old classifier are taken by the names of the classes ([`rows`]). Of several sources the one is taken whose
//! features are told apart best on validation images ([`pick`]).

pub(crate) mod adapt;
pub(crate) mod carried;
pub(crate) mod estimate;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod heads;
pub(crate) mod idle;
pub(crate) mod int8;
pub(crate) mod pick;
pub(crate) mod rows;
pub(crate) mod seen;
pub(crate) mod similar;
pub(crate) mod store;

pub(crate) use carried::Carried;
