//! Checking the data directory of a log, whether its server runs or not. Nothing is written, and the
//! directory's lock is not touched.
//!
//! A server that runs goes on writing. What is read first is what is replaced first, and everything is read
//! again if it changed meanwhile; full tiles and bundles never change. What the last batch made full may not
//! be written yet: the journal has it, and so it has after a crash, until the next start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use indelible_client::durable;
use indelible_proto::checkpoint::Origin;
use indelible_proto::hash::{Hash, leaf_hash, sha256};
use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::record::SignedRecord;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, TileId};

use super::Fsck;
use super::finding::{Finding, Grade, Listener};
use super::scan::{Scan, Scanned, compare};
use super::stored::{Fault, Stored};
use super::strays;
use crate::chain::Chain;
use crate::journal::{self, Identity, Inspected, JournalError, Payload};
use crate::kind::LogKind;
use crate::publish::CHECKPOINT_FILE;
use crate::sequencer::{JOURNAL_DIR, SignedHead};
use crate::storage::Storage;
use crate::storage::entries::{self, EncodedEntry};
use crate::storage::heads::{self, Heads};
use crate::storage::tiles::{BUNDLE_ENTRIES, full_bundle_entries};

/// How often a directory that changes while it is read is read again.
const ATTEMPTS: u32 = 20;

/// A log's data directory, and what is known of the log.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    pub(crate) dir: PathBuf,
    pub(crate) kind: LogKind,
    pub(crate) policy: Policy,
    pub(crate) origin: Origin,
    pub(crate) key: VerifierKey,
}

/// The files that change, as they were at one moment.
struct Moment {
    running: bool,
    published: Option<Vec<u8>>,
    heads: Option<Vec<u8>>,
    journal: Inspected,
}

/// The full tiles and bundles, with what only the journal has so far.
struct Files {
    dir: PathBuf,
    /// Up to where they must be there.
    integrated: u64,
    /// Bundles after that, from the journal.
    journaled: BTreeMap<u64, Bytes>,
}

impl DataDir {
    fn identity(&self) -> Identity {
        Identity { origin_hash: sha256(self.origin.as_str().as_bytes()), kind: self.kind }
    }

    /// Checks everything and returns how many entries the log has.
    ///
    /// # Errors
    /// If the journal or another file can't be read at all.
    pub(crate) fn check(&self, fsck: &Fsck<'_>) -> Result<TreeSize, JournalError> {
        let moment = self.moment()?;
        let listener = fsck.listener;
        if moment.running {
            listener.find(Finding::new(Grade::Note, "running", self.place("lock"), "the log runs"));
        }
        let heads = self.heads(&moment, listener);
        let signed = heads.as_ref().map(|heads| heads.signed.size).max(self.published_size(&moment));
        self.report_journal(&moment, signed.unwrap_or_default(), listener);

        let journal = &moment.journal;
        let first = journal.first.map_or(0, LeafIndex::get);
        let integrated = match &heads {
            Some(heads) => heads.integrated.size.get(),
            None => first.next_multiple_of(BUNDLE_ENTRIES),
        };
        let known = heads.as_ref().map_or(0, |heads| heads.integrated.size.get());
        let full = TreeSize::new(full_bundle_entries(journal.size).max(known)).unwrap_or_default();
        let files = Files {
            dir: self.dir.clone(),
            integrated: integrated.min(full.get()),
            journaled: journaled_bundles(journal),
        };
        let signed = heads.as_ref().map(|heads| heads.integrated).filter(|head| head.size == full);
        let scan = Scan {
            stored: &files,
            listener,
            kind: self.kind,
            size: full,
            signed: signed.map(|head| head.root),
            snapshot_at: integrated.min(full.get()),
            threads: fsck.threads,
        };
        let mut scanned = scan.run();
        if listener.is_stopped() {
            return Ok(journal.size);
        }
        self.replay_journal(&moment, &files, &mut scanned, fsck);
        if let Some(heads) = &heads {
            self.compare_heads(heads, &moment, &files, &scanned, listener);
        }
        self.compare_published(&moment, &files, &scanned, listener);
        strays::look(&self.dir, journal.size.max(full), moment.running, listener);
        Ok(journal.size)
    }

    /// Everything that changes, as it was at one moment.
    fn moment(&self) -> Result<Moment, JournalError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let running = is_locked(&self.dir);
            let storage = Storage::real();
            let read = |name: &str| storage.read(&self.dir.join(name));
            let (published, heads) = (read(CHECKPOINT_FILE)?, read(heads::FILE)?);
            let journal = journal::inspect(&storage, &self.dir.join(JOURNAL_DIR), self.identity());
            let settled =
                matches!(&journal, Ok(journal) if journal.damage.is_empty()) && read(heads::FILE)? == heads;
            if settled || !running || attempt >= ATTEMPTS {
                return Ok(Moment { running, published, heads, journal: journal? });
            }
        }
    }

    /// Size of the published checkpoint, if it is one of this log.
    fn published_size(&self, moment: &Moment) -> Option<TreeSize> {
        let note = SignedNote::parse(moment.published.as_ref()?).ok()?;
        Some(self.policy.verify_log_signature(&note).ok()?.head().size)
    }

    /// Tells what is wrong with the journal of a log that is known to have signed a tree of `signed` entries.
    fn report_journal(&self, moment: &Moment, signed: TreeSize, listener: &dyn Listener) {
        for error in &moment.journal.damage {
            let place = match error {
                JournalError::Damaged { path, .. }
                | JournalError::OtherOrigin { path }
                | JournalError::OtherKind { path, .. } => path.clone(),
                _ => self.dir.join(JOURNAL_DIR),
            };
            let finding = Finding::damaged(error.code(), place.display().to_string(), error.to_string());
            listener.find(finding.todo(
                "keep the directory; the log does not start from it. Rebuild it from a mirror: indelible-server \
                 import URL NEWDIR --key KEYFILE",
            ));
        }
        if let Some((path, offset)) = moment.journal.torn.as_ref().filter(|_| !moment.running) {
            let place = path.display().to_string();
            listener.find(if signed > moment.journal.size {
                let what = format!("the append at byte {offset} is damaged: a tree with its entries was signed");
                Finding::damaged("append-damaged", place, what).todo(STALE)
            } else {
                let what = format!(
                    "the append at byte {offset} was never completed, as far as this directory knows; the next \
                     start cuts it"
                );
                Finding::new(Grade::Note, "torn-append", place, what)
            });
        }
        for path in &moment.journal.strays {
            let what = "it is no segment of the journal that counts";
            let finding = Finding::damaged("stray-file", path.display().to_string(), what);
            listener.find(finding.todo("look what it is, then move it away"));
        }
    }

    fn heads(&self, moment: &Moment, listener: &dyn Listener) -> Option<Heads> {
        let bytes = moment.heads.as_ref()?;
        let heads = Heads::parse(bytes, self.identity());
        if heads.is_none() {
            let what = "it is damaged, or of another log";
            listener.find(Finding::damaged("heads-form", self.place(heads::FILE), what).todo(
                "nothing is lost: the next start makes it again from journal and bundles; until then a \
                 missing end of the journal is noticed only by the published checkpoint and the witnesses",
            ));
        }
        heads
    }

    /// Replays the journal over what the bundles lead to: every root and every signed checkpoint in it.
    fn replay_journal(&self, moment: &Moment, files: &Files, scanned: &mut Scanned, fsck: &Fsck<'_>) {
        let (journal, listener) = (&moment.journal, fsck.listener);
        let start = journal.first.map_or(0, LeafIndex::get);
        let start = TreeSize::new(start).unwrap_or_default();
        let mut edge = files.leaves(start).and_then(|leaves| scanned.edge(start, &leaves));
        let mut last = None;
        let mut records = Vec::new();
        for placed in &journal.payloads {
            let place = format!("{} at byte {}", placed.path.display(), placed.offset);
            match &placed.payload {
                Payload::Batch(batch) => {
                    last = None;
                    let encoded: Result<Vec<EncodedEntry>, _> = entries::split(&batch.entries).collect();
                    let Ok(encoded) = encoded else {
                        let what = "the batch is not made of entries";
                        listener.find(Finding::damaged("batch-form", place, what));
                        edge = None;
                        continue;
                    };
                    edge = edge.filter(|edge| edge.size().next_index() == batch.first);
                    let Some(edge) = &mut edge else { continue };
                    for entry in encoded {
                        let index = edge.size().get();
                        let bytes = entry.bytes();
                        if self.kind == LogKind::Records && index >= full_bundle_entries(journal.size) {
                            records.push((index, SignedRecord::parse(bytes)));
                        }
                        if edge.append(leaf_hash(bytes)).is_err() {
                            break;
                        }
                    }
                    let got = (edge.size() == batch.head.size).then(|| edge.root());
                    compare(listener, &place, &batch.head, got);
                }
                Payload::Checkpoint(checkpoint) => {
                    let signed = SignedHead::read(&checkpoint.note, &self.origin, &self.key);
                    match signed {
                        Ok(signed) => {
                            let head = signed.checkpoint.head();
                            last = Some(head);
                            let Some(edge) = &edge else { continue };
                            let here = edge.size() == head.size;
                            let got = if here { Some(edge.root()) } else { files.root(scanned, head.size) };
                            compare(listener, &place, &head, got);
                        }
                        Err(fault) => {
                            let what = format!("it is no checkpoint signed by this log: {fault}");
                            listener.find(Finding::damaged("signed-checkpoint-foreign", place, what));
                        }
                    }
                }
            }
        }
        if last.is_none_or(|head| head.size != journal.size) {
            let what = format!("there is no signed checkpoint of its last entry, {} in all", journal.size);
            let finding = Finding::damaged("signed-checkpoint-missing", self.place(JOURNAL_DIR), what);
            listener.find(finding.todo("keep the directory; the log refuses to sign from it"));
        }
        if edge.is_none() {
            let what = "its batches can't be replayed from where the entries before them end";
            listener.find(Finding::new(Grade::Unread, "journal-not-replayed", self.place(JOURNAL_DIR), what));
        }
        scanned.replay.take(records, false);
        scanned.replay.run(fsck.threads, listener);
    }

    fn compare_heads(
        &self,
        heads: &Heads,
        moment: &Moment,
        files: &Files,
        scanned: &Scanned,
        listener: &dyn Listener,
    ) {
        let place = self.place(heads::FILE);
        let stored = moment.journal.size;
        if heads.signed.size > stored {
            let what = format!(
                "a tree of {} entries was signed, but the journal ends at {stored}: its end is lost",
                heads.signed.size
            );
            listener.find(Finding::damaged("journal-behind-signed", &place, what).todo(STALE));
        } else {
            compare(listener, &place, &heads.signed, files.root(scanned, heads.signed.size));
        }
        compare(listener, &place, &heads.integrated, files.root(scanned, heads.integrated.size));
        if self.kind == LogKind::Records && scanned.replay.is_whole() {
            let then: BTreeMap<String, String> =
                heads.channels.iter().map(|c| (c.channel().as_str().to_owned(), c.encode())).collect();
            for (name, state) in &scanned.channels_then {
                if then.get(name) != Some(state) {
                    let what = format!("channel {name} has another state than its records lead to");
                    listener.find(Finding::damaged("heads-channel", &place, what).todo(REMAKE_HEADS));
                }
            }
            for name in then.keys().filter(|name| !scanned.channels_then.contains_key(*name)) {
                let what = format!("channel {name} has no record");
                listener.find(Finding::damaged("heads-channel", &place, what).todo(REMAKE_HEADS));
            }
        }
    }

    fn compare_published(&self, moment: &Moment, files: &Files, scanned: &Scanned, listener: &dyn Listener) {
        let place = self.place(CHECKPOINT_FILE);
        let todo = "put any copy of this log's newest checkpoint in its place, from a witness or a client";
        let Some(bytes) = &moment.published else {
            listener.find(Finding::damaged("published-missing", place, "it is missing").todo(todo));
            return;
        };
        let whole = bytes.len() <= MAX_NOTE_BYTES;
        let note = whole.then(|| SignedNote::parse(bytes)).and_then(Result::ok);
        let Some(note) = note.filter(|note| note.encode() == *bytes) else {
            let what = "it is not a signed note";
            listener.find(Finding::damaged("published-damaged", place, what).todo(todo));
            return;
        };
        let signed = match self.policy.verify_log_signature(&note) {
            Ok(signed) => signed,
            Err(error) => {
                let what = format!("it is not a checkpoint signed by this log: {error}");
                listener.find(Finding::damaged("published-damaged", place, what).todo(todo));
                return;
            }
        };
        let head = signed.head();
        if !head.size.is_zero() {
            self.check_cosignatures(&note, &place, listener);
        }
        if head.size > moment.journal.size {
            let (published, stored) = (head.size, moment.journal.size);
            let what = format!("{published} entries were published, but the journal ends at {stored}");
            listener.find(Finding::damaged("published-ahead", &place, what).todo(STALE));
            return;
        }
        compare(listener, &place, &head, files.root(scanned, head.size));
    }

    /// The file has only signature lines that were verified when it was written.
    fn check_cosignatures(&self, note: &SignedNote, place: &str, listener: &dyn Listener) {
        let todo = "the next checkpoint that witnesses cosign replaces it";
        match self.policy.verify(note) {
            Ok(verified) => {
                let lines = note.signatures().len();
                let known = verified.cosigners().len() + 1;
                if lines != known {
                    let what =
                        format!("it has {lines} signature lines, {known} of them by keys of the policy");
                    listener.find(Finding::damaged("published-line-unknown", place, what).todo(todo));
                }
            }
            Err(error) => {
                let what = format!("it does not satisfy the policy: {error}");
                listener.find(Finding::damaged("published-policy", place, what).todo(todo));
            }
        }
    }

    fn place(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

impl Files {
    /// The root of the tree of `size` entries, if it can be computed.
    fn root(&self, scanned: &Scanned, size: TreeSize) -> Option<Hash> {
        Some(scanned.edge(size, &self.leaves(size)?)?.root())
    }

    /// The leaf hashes of the partial bundle of a tree of `size` entries, from the entries.
    fn leaves(&self, size: TreeSize) -> Option<Vec<Hash>> {
        let count = usize::try_from(size.get() % BUNDLE_ENTRIES).ok()?;
        if count == 0 {
            return Some(Vec::new());
        }
        let index = size.get() / BUNDLE_ENTRIES;
        let bytes = match self.journaled.get(&index) {
            Some(bytes) => bytes.clone(),
            None => self.bundle(BundleId::for_size(index, size)?.full()).ok()?,
        };
        let leaves: Vec<Hash> = entries::split(&bytes)
            .map_while(Result::ok)
            .take(count)
            .map(|entry| leaf_hash(entry.bytes()))
            .collect();
        (leaves.len() == count).then_some(leaves)
    }

    fn read(&self, path: &str) -> Result<Bytes, Fault> {
        match Storage::real().read(&self.dir.join(path)) {
            Ok(Some(bytes)) => Ok(Bytes::from(bytes)),
            Ok(None) => Err(Fault::Missing),
            Err(error) => Err(Fault::Unread(Chain(&error).to_string())),
        }
    }
}

impl Stored for Files {
    fn bundle(&self, id: BundleId) -> Result<Bytes, Fault> {
        match self.read(&id.full().path()) {
            Err(Fault::Missing) if id.first_entry() >= self.integrated => {
                self.journaled.get(&id.index()).cloned().ok_or(Fault::Missing)
            }
            read => read,
        }
    }

    fn tile(&self, id: TileId) -> Result<Bytes, Fault> {
        let width = BUNDLE_ENTRIES.checked_pow(u32::from(id.level()) + 1);
        let end = width.and_then(|width| (id.index() + 1).checked_mul(width));
        match self.read(&id.full().path()) {
            Err(Fault::Missing) if end.is_none_or(|end| end > self.integrated) => Err(Fault::NotYet),
            read => read,
        }
    }

    fn may_have_nothing(&self) -> bool {
        false
    }

    fn has_partials(&self) -> bool {
        false
    }

    fn remedy(&self) -> &'static str {
        "restore this file from a backup or a mirror: every copy of the log has the same bytes there. The log \
         goes on serving what is not damaged"
    }
}

/// The bundles that the journal has all entries of, and the partial one at the end.
fn journaled_bundles(journal: &Inspected) -> BTreeMap<u64, Bytes> {
    let mut bundles: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let first = journal.first.map_or(0, LeafIndex::get);
    for placed in &journal.payloads {
        let Payload::Batch(batch) = &placed.payload else { continue };
        for (index, entry) in (batch.first.get()..).zip(entries::split(&batch.entries).map_while(Result::ok))
        {
            if index / BUNDLE_ENTRIES * BUNDLE_ENTRIES >= first {
                bundles.entry(index / BUNDLE_ENTRIES).or_default().extend_from_slice(entry.encoded());
            }
        }
    }
    bundles.into_iter().map(|(index, bytes)| (index, Bytes::from(bytes))).collect()
}

/// Whether a process holds the directory's lock, as the kernel lists locks; taking it to find out could keep
/// the server from starting.
fn is_locked(dir: &Path) -> bool {
    let Ok(lock) = fs::metadata(dir.join(durable::LOCK_FILE)) else {
        return false;
    };
    let inode = lock.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let is_it = |line: &str| {
        line.contains("FLOCK") && line.split_whitespace().any(|word| word.rsplit(':').next() == Some(&inode))
    };
    locks.lines().any(is_it)
}

const STALE: &str = "the directory is an old or incomplete copy, and the log refuses to sign from it: restore the \
                     newest data, or rebuild from a mirror: indelible-server import URL NEWDIR --key KEYFILE";
const REMAKE_HEADS: &str = "stop the log and delete the file: the next start makes it again from the records";
