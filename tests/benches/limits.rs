//! What the machine can do at best: write, sync, hash, verify. Every ratio of the table is against one of
//! these or a peer, measured between the rounds of what it bounds.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ed25519_dalek::{Signature, VerifyingKey};
use indelible_client::durable;
use indelible_proto::hash::{Hash, leaf_hash, node_hash};
use indelible_proto::note::PreparedKey;
use indelible_proto::record::{SignedRecord, signed_message};
use indelible_proto::sign::{RecordSigner, Signer as _};

use crate::stats::Latencies;

/// How much is written between two syncs by the sequential writer.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A file whose every byte has been written and synced, so that writing over it changes data and nothing
/// else: the fastest durable write a file system has.
#[derive(Debug)]
pub(crate) struct Preallocated {
    file: File,
    bytes: u64,
}

impl Preallocated {
    /// A new file in `dir`, of `bytes` bytes rounded up to whole chunks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(dir: &Path, bytes: u64) -> Result<Self> {
        let path = dir.join("preallocated");
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        let chunk = chunk();
        let bytes = bytes.next_multiple_of(CHUNK_BYTES as u64).max(CHUNK_BYTES as u64);
        for offset in (0..bytes).step_by(CHUNK_BYTES) {
            file.write_all_at(&chunk, offset)?;
        }
        file.sync_all()?;
        Ok(Self { file, bytes })
    }

    /// Bytes a second, written from start to end in chunks of 1 MiB with `fdatasync` after each.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn sequential_bytes_per_s(&self) -> Result<f64> {
        let chunk = chunk();
        let begun = Instant::now();
        for offset in (0..self.bytes).step_by(CHUNK_BYTES) {
            self.file.write_all_at(&chunk, offset)?;
            self.file.sync_data()?;
        }
        Ok(self.bytes as f64 / begun.elapsed().as_secs_f64())
    }

    /// The times of `count` writes of `bytes` bytes, each with its `fdatasync`: one begins every `interval`, or
    /// when the one before is done if that is later.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn synced_writes(&self, count: usize, bytes: usize, interval: Duration) -> Result<Latencies> {
        let data = vec![7; bytes];
        let mut times = Vec::with_capacity(count);
        let (mut offset, mut due) = (0, Instant::now());
        for _ in 0..count {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            self.file.write_all_at(&data, offset)?;
            self.file.sync_data()?;
            times.push(begun.elapsed());
            offset = (offset + bytes as u64) % (self.bytes - bytes as u64);
            due += interval;
        }
        Ok(Latencies::of(times))
    }
}

/// The times of `count` durable replacements of a small file: written, synced, renamed, directory synced.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn durable_replaces(dir: &Path, count: usize) -> Result<Latencies> {
    let (path, content) = (dir.join("replaced"), [b'x'; 600]);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        durable::replace(&path, &content)?;
        times.push(begun.elapsed());
    }
    Ok(Latencies::of(times))
}

/// Entries a second that one core can hash into a tree: a leaf hash and an interior hash for each.
pub(crate) fn tree_hashes_per_s(entry_bytes: usize, count: u32) -> f64 {
    let mut entry = vec![0; entry_bytes];
    let mut last = Hash::from_bytes([0; Hash::LEN]);
    let begun = Instant::now();
    for number in 0..count {
        entry[..4].copy_from_slice(&number.to_be_bytes());
        last = node_hash(&last, &leaf_hash(black_box(&entry)));
    }
    black_box(last);
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// An Ed25519 signature with all that is needed to verify it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    key: VerifyingKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Signed {
    /// The signature `signature` by `public_key` over `message`.
    ///
    /// # Errors
    /// If the key or the signature is none.
    pub(crate) fn new(public_key: &[u8], message: Vec<u8>, signature: &[u8]) -> Result<Self> {
        let key = VerifyingKey::from_bytes(public_key.try_into()?)?;
        Ok(Self { key, message, signature: Signature::from_slice(signature)? })
    }

    /// A record's first signature, by this key.
    ///
    /// # Errors
    /// If the record has no signature, or the key is none.
    pub(crate) fn of_record(record: &SignedRecord, key: &RecordSigner) -> Result<Self> {
        let line = record.signatures().first().context("a signed record")?;
        Self::new(key.verifier().public_key_bytes(), signed_message(record.payload()), line.signature())
    }

    /// Verifies it strictly.
    ///
    /// # Errors
    /// If it is not valid: what was prepared to be measured is then wrong.
    pub(crate) fn verify(&self) -> Result<()> {
        self.key.verify_strict(&self.message, &self.signature).context("a prepared signature is not valid")
    }
}

/// How long verifying these takes, spread over `threads` threads.
///
/// # Errors
/// If one is not valid.
pub(crate) fn verify_all(signed: &[Signed], threads: usize) -> Result<Duration> {
    each_of(signed, threads, Signed::verify)
}

/// The same by keys that are prepared.
///
/// # Errors
/// If a signature is not valid, or its key is not prepared.
pub(crate) fn verify_all_prepared(
    signed: &[Signed],
    keys: &HashMap<[u8; 32], PreparedKey>,
    threads: usize,
) -> Result<Duration> {
    each_of(signed, threads, |signed| {
        let key = keys.get(signed.key.as_bytes()).context("a key that is not prepared")?;
        Ok(key.verify_raw(&signed.message, &signed.signature.to_bytes())?)
    })
}

fn each_of(
    signed: &[Signed],
    threads: usize,
    verify: impl Fn(&Signed) -> Result<()> + Sync,
) -> Result<Duration> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let verify = &verify;
        let parts = signed.chunks(signed.len().div_ceil(threads).max(1));
        let verifying: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().try_for_each(verify))).collect();
        verifying.into_iter().try_for_each(|part| part.join().unwrap_or_else(|_| anyhow::bail!("panicked")))
    })?;
    Ok(begun.elapsed())
}

fn chunk() -> Vec<u8> {
    (0..CHUNK_BYTES).map(|place| (place % 251) as u8).collect()
}
