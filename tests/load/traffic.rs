//! What is sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use indelible_proto::checkpoint::Checkpoint;
use indelible_proto::log_api::{ADD_BATCH_PATH, ADD_PATH, MAX_BATCH_ENTRIES, SUBMIT_PATH, encode_batch};
use indelible_proto::note::SignedNote;
use indelible_proto::tile::{BundleId, TileId, TileWidth};
use indelible_tests::load::{Request, Requests, Target, get, posts};
use indelible_tests::records::Channel;

use crate::{Args, What};

/// The requests that these arguments ask for.
pub(crate) fn requests(args: &Args, target: &Target) -> Result<Requests> {
    let limit = Limit { left: AtomicU64::new(args.count) };
    let entries = Entries::new(usize::from(args.bytes))?;
    match args.what {
        What::Add => Ok(posts(ADD_PATH, move |_| limit.take().then(|| entries.next()))),
        What::Batch => {
            let batch = usize::from(args.batch);
            Ok(posts(ADD_BATCH_PATH, move |_| {
                let entries: Vec<Vec<u8>> = (0..batch).map(|_| entries.next()).collect();
                let body = encode_batch(&entries, MAX_BATCH_ENTRIES).ok();
                body.filter(|_| limit.take())
            }))
        }
        What::Submit => submissions(args, limit),
        What::Read => reads(target, limit),
    }
}

/// How many requests may still be made.
struct Limit {
    left: AtomicU64,
}

impl Limit {
    fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Entries of one length, no two of them the same, in this run or another.
struct Entries {
    bytes: usize,
    next: AtomicU64,
}

impl Entries {
    fn new(bytes: usize) -> Result<Self> {
        let mut start = [0; 8];
        getrandom::fill(&mut start).context("no randomness")?;
        Ok(Self { bytes, next: AtomicU64::new(u64::from_be_bytes(start)) })
    }

    fn next(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut state = number | 1 << 63;
        let mut entry = Vec::with_capacity(self.bytes + 8);
        entry.extend_from_slice(&number.to_be_bytes());
        while entry.len() < self.bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            entry.extend_from_slice(&state.to_be_bytes());
        }
        entry.truncate(self.bytes);
        entry
    }
}

/// One channel for each connection, as a channel's next record has to wait for the one before.
fn submissions(args: &Args, limit: Limit) -> Result<Requests> {
    let mut run = [0; 4];
    getrandom::fill(&mut run).context("no randomness")?;
    let first = usize::try_from(u32::from_be_bytes(run)).unwrap_or_default();
    let channels = (0..args.connections).map(|number| Ok(Mutex::new(Channel::new(first + number)?)));
    let channels = channels.collect::<Result<Vec<_>>>()?;
    Ok(posts(SUBMIT_PATH, move |connection| {
        let mut channel = channels.get(connection)?.lock().unwrap_or_else(PoisonError::into_inner);
        if limit.take() { channel.sign_next().ok().map(|record| record.encode()) } else { None }
    }))
}

fn reads(target: &Target, limit: Limit) -> Result<Requests> {
    let note = SignedNote::parse(&get(target, "/checkpoint")?).context("the log's checkpoint")?;
    let full = Checkpoint::parse(note.text())?.head().size.get() / u64::from(TileWidth::FULL.get());
    ensure!(full > 0, "the log has no full tile yet: add 256 entries first");
    let next = AtomicU64::new(0);
    let path = move || -> Result<String> {
        let number = next.fetch_add(1, Ordering::Relaxed);
        // Half tiles, half bundles, far from each other.
        let index = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % full;
        if number.is_multiple_of(2) {
            Ok(TileId::new(0, index, TileWidth::FULL)?.path())
        } else {
            Ok(BundleId::new(index, TileWidth::FULL)?.path())
        }
    };
    Ok(Arc::new(move |_| {
        let path = path().ok().filter(|_| limit.take())?;
        Some(Request::Get { path: format!("/{path}") })
    }))
}
