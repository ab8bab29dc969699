//! Whole logs over real sockets.

mod channel_file;
mod lookup;
mod many;
mod raw;
mod reading;
mod records;
