//! One file, one directory: what is read, what is on disk for certain, and what a crash leaves of the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::random::Random;

/// What is written whole or not at all, in bytes.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(super) struct File {
    /// What is read.
    pub(super) now: Arc<Vec<u8>>,
    /// What is on disk for certain.
    pub(super) synced: Arc<Vec<u8>>,
    /// What happened since, in order.
    unsynced: Vec<Change>,
    /// Some of what is read will never be written.
    dropped: bool,
}

#[derive(Clone)]
enum Change {
    Emptied,
    Written { offset: usize, bytes: Arc<[u8]> },
}

#[derive(Clone, Default)]
pub(super) struct Dir {
    pub(super) now: BTreeMap<String, usize>,
    pub(super) synced: BTreeMap<String, usize>,
    /// Names given and taken since.
    unsynced: Vec<(String, Option<usize>)>,
}

impl File {
    pub(super) fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        write_into(Arc::make_mut(&mut self.now), bytes, offset);
        self.unsynced.push(Change::Written { offset, bytes: bytes.into() });
    }

    pub(super) fn empty(&mut self) {
        self.now = Arc::default();
        self.unsynced.push(Change::Emptied);
    }

    pub(super) fn sync(&mut self) {
        if self.dropped {
            let mut synced = Vec::clone(&self.synced);
            for change in &self.unsynced {
                change.apply(&mut synced, |_| true);
            }
            self.synced = Arc::new(synced);
        } else {
            self.synced = Arc::clone(&self.now);
        }
        self.unsynced.clear();
    }

    pub(super) fn drop_unsynced(&mut self) {
        self.dropped |= !self.unsynced.is_empty();
        self.unsynced.clear();
    }

    /// `kept` of 100 sectors, or all of a write, are on disk.
    pub(super) fn crash(&self, random: &mut Random, kept: u64) -> Self {
        if self.unsynced.is_empty() {
            return Self {
                now: Arc::clone(&self.synced),
                synced: Arc::clone(&self.synced),
                ..Self::default()
            };
        }
        let mut left = Vec::clone(&self.synced);
        for change in &self.unsynced {
            let whole = random.below(3) == 0;
            let fate = random.below(100) < kept;
            change.apply(&mut left, |_| if whole { fate } else { random.below(100) < kept });
        }
        if random.below(2) == 0 && left.len() < self.now.len() {
            left.resize(self.now.len(), 0);
        }
        let left = Arc::new(left);
        Self { now: Arc::clone(&left), synced: left, ..Self::default() }
    }
}

impl Change {
    /// Applies the sectors that `keep` says.
    fn apply(&self, content: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        match self {
            Self::Emptied => {
                if keep(0) {
                    content.clear();
                }
            }
            Self::Written { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let sector_end = (offset + at) / SECTOR * SECTOR + SECTOR;
                    let end = bytes.len().min(sector_end - offset);
                    if keep(at) {
                        write_into(content, &bytes[at..end], offset + at);
                    }
                    at = end;
                }
            }
        }
    }
}

fn write_into(content: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Dir {
    pub(super) fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    pub(super) fn set(&mut self, name: String, node: Option<usize>) {
        match node {
            Some(node) => self.now.insert(name.clone(), node),
            None => self.now.remove(&name),
        };
        self.unsynced.push((name, node));
    }

    pub(super) fn sync(&mut self) {
        self.synced.clone_from(&self.now);
        self.unsynced.clear();
    }

    pub(super) fn crash(&self, random: &mut Random, kept: u64) -> Self {
        let mut left = self.synced.clone();
        for (name, node) in &self.unsynced {
            if random.below(100) < kept {
                match node {
                    Some(node) => left.insert(name.clone(), *node),
                    None => left.remove(name),
                };
            }
        }
        Self { now: left.clone(), synced: left, unsynced: Vec::new() }
    }
}
