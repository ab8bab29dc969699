//! What the suites and the demo share: the real binaries as processes, a witnessed log made of them, and a
//! log operator who lies.
//!
//! Everything runs on loopback ports that the system picks; each world has a folder of its own. Nothing
//! waits for time to pass: a process is ready when it has printed the address it listens on, and what nobody
//! announces is looked for until it is there.

pub mod beside;
pub mod between;
pub mod binaries;
pub mod careless;
pub mod filling;
pub mod forgery;
pub mod http;
pub mod killed;
pub mod load;
pub mod process;
pub mod publisher;
pub mod reader;
pub mod records;
pub mod rogue;
pub mod shop;
pub mod site;
mod waiting;
pub mod world;

pub use beside::Beside;
pub use between::{Between, Deed};
pub use binaries::{Binaries, binaries};
pub use process::{Finished, Running};
pub use publisher::Publisher;
pub use reader::Reader;
pub use rogue::Rogue;
pub use shop::Shop;
pub use site::Site;
pub use waiting::wait_until;
pub use world::World;
