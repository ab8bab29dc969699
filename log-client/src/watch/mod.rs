//! Watching a log: is it one history, shown alike to everyone, of entries that were allowed in?
//!
//! The watchdog looks at a log's checkpoints from several places (the log itself, its witnesses' own
//! copies, mirrors, notes handed in), keeps every note before judging it, compares all of them with the
//! one checkpoint whose entries it has checked, and reads the log's new entries to check the next one.
//!
//! What it can show to others is [`Class::Evidence`]; what it saw but cannot prove to others is
//! [`Class::Accusation`]; what it was not given is neither.
//!
//! [`Watch`] decides and does no I/O; a [`Follower`] carries its decisions out.

mod alert;
mod compare;
mod event;
mod held_file;
mod read_ahead;
mod run;
mod scan;
mod sources;
mod step;
mod store;

pub use alert::{Alert, Check, Class, Finding, Report};
pub use compare::{Comparison, OpenComparison, WrongTiles};
pub use event::{Action, Dispute, Event, Held, Pending, Question, Reason, Role, Vantage};
pub use run::{Follower, Listener, Round};
pub use scan::{Ahead, LogKind, Scan};
pub use sources::{Place, Places, PlacesError};
pub use step::Watch;
pub use store::{Latch, LogStore, WatchDir};

#[cfg(test)]
mod tests;
