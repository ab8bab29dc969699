//! Publishing to, verifying against and watching an Indelible transparency log.

pub mod bundle;
pub mod carry;
pub mod channel;
pub mod cli;
pub mod client_config;
pub mod dsse;
pub mod durable;
pub mod fetch;
pub mod files;
pub mod http;
pub mod inspect;
pub mod keys;
#[cfg(feature = "listen")]
pub mod listen;
pub mod log_client;
pub mod log_submit;
pub mod lookup;
pub mod pins;
pub mod planted;
pub mod publish;
mod seal;
pub mod state;
pub mod verify;
pub mod watch;
pub mod witness_client;

#[cfg(test)]
mod test_channel;
#[cfg(test)]
mod test_log;
