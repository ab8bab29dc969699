//! Whole logs over real sockets.

mod lookup;
mod many;
mod raw;
mod reading;
mod records;
