//! Whole logs over real sockets.

mod lookup;
mod raw;
mod reading;
mod records;
