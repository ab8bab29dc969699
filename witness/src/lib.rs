//! A witness: it cosigns a log's checkpoint only after a proof that the log grew by appending, and
//! remembers on disk what it cosigned before the cosignature leaves (c2sp.org/tlog-witness).
//!
//! A request's way: [`submission`] reads it and verifies the log's signature, [`decide`] says yes or no
//! under the log's lock, [`store`] makes the new state durable, and only then [`witness`] releases the
//! cosignature. [`refusal`] names every "no" and its HTTP status. What the state is worth, and what its
//! loss costs, is in [`store`].

pub mod cli;
pub mod clock;
pub mod config;
pub mod decide;
pub mod held;
pub mod http;
pub mod init;
pub mod logs;
pub mod refusal;
pub mod run;
pub mod store;
pub mod submission;
pub mod witness;

#[cfg(test)]
mod testing;
