//! Whole logs over real sockets.

mod raw;
mod reading;
mod records;
