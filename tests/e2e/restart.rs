//! The log killed at any moment: what it acknowledged is in it for ever, and it never has two histories.
//!
//! The test keeps a ledger of everything the log acknowledged and every checkpoint it showed. After each
//! restart every line of the ledger must be proved under a checkpoint that continues all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use indelible_proto::log_api::{SequencedAnswer, parse_index};
use indelible_proto::note::SignedNote;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::SignedRecord;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::TreeHead;
use indelible_tests::http::{self, Connection};
use indelible_tests::world::Kind;
use indelible_tests::{Publisher, Running, World};

/// After how many acknowledgements the log is killed, round by round. None: with the first requests.
const KILLED_AFTER: [usize; 11] = [0, 1, 60, 2, 3, 0, 11, 150, 7, 25, 5];
const WRITERS: usize = 4;
/// How long one acknowledgement may take. Long, because machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_killed_log_has_every_entry_it_acknowledged_where_it_said() {
    let mut world = World::start(Kind::Raw, 1, 1);
    let mut ledger = Ledger::default();
    for (round, kill_after) in KILLED_AFTER.into_iter().enumerate() {
        let writers = (0..WRITERS).map(|writer| RawWriter { round, writer, entries: 0 }).collect();
        under_load(&mut world, writers, &mut ledger, kill_after, Running::kill);
        world.start_log();
        ledger.check(&world);
    }
    assert!(ledger.acknowledged.len() > KILLED_AFTER.iter().sum());
}

#[test]
fn a_killed_log_has_every_record_it_acknowledged_and_takes_the_next_ones() {
    let mut world = World::start(Kind::Records, 3, 2);
    let policy = world.read_policy();
    let mut ledger = Ledger::default();
    let channels = (0..WRITERS as u8).map(|n| (n, format!("vendor.example/channel-{n}")));
    let mut writers: Vec<RecordWriter> = channels
        .map(|(n, channel)| RecordWriter {
            publisher: Publisher::new(&channel, n),
            sending: None,
            records: 0,
            policy: policy.clone(),
        })
        .collect();
    for kill_after in KILLED_AFTER.map(|after| after / 3) {
        writers = under_load(&mut world, writers, &mut ledger, kill_after, Running::kill);
        world.start_log();
        ledger.check(&world);
    }
    assert!(ledger.acknowledged.len() > KILLED_AFTER.len() * 3);
}

#[test]
fn a_log_told_to_stop_ends_its_requests_and_exits_with_0() {
    let mut world = World::start(Kind::Raw, 1, 1);
    let mut ledger = Ledger::default();
    for round in 0..3 {
        let writers = (0..WRITERS).map(|writer| RawWriter { round, writer, entries: 0 }).collect();
        under_load(&mut world, writers, &mut ledger, 40, |log| {
            let output = log.address().to_owned();
            let status = log.stop();
            assert_eq!(status.code(), Some(0), "{output}");
        });
        world.start_log();
        ledger.check(&world);
    }
}

/// What a log has said.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<LeafIndex, Vec<u8>>,
    shown: BTreeMap<TreeSize, TreeHead>,
    /// Up to which acknowledgement each one has been proved by itself.
    proved: Option<LeafIndex>,
}

impl Ledger {
    fn acknowledge(&mut self, Acknowledged { entry, index }: Acknowledged) {
        let before = self.acknowledged.insert(index, entry.clone());
        assert!(before.is_none_or(|before| before == entry), "two entries were acknowledged at {index}");
    }

    fn show(&mut self, head: TreeHead) {
        let before = self.shown.insert(head.size, head);
        assert!(before.is_none_or(|before| before == head), "two trees of size {} were shown", head.size);
    }

    /// Checks everything against what the log publishes now.
    fn check(&mut self, world: &World) {
        let reader = world.reader();
        let last = self.acknowledged.last_key_value().map_or(0, |(index, _)| index.get() + 1);
        let head = reader.published(last).head();
        for shown in self.shown.values() {
            reader.check_consistent(shown, &head);
        }
        let entries = reader.entries(&head);
        for (index, entry) in &self.acknowledged {
            let found = &entries[usize::try_from(index.get()).unwrap()];
            assert!(found.as_bytes() == entry, "entry {index} is not what was acknowledged");
            // The tree above is the log's word as a whole; a proof shows each entry by itself.
            if self.proved.is_none_or(|proved| *index > proved) {
                reader.check_included(entry, *index, &head);
            }
        }
        self.proved = self.acknowledged.last_key_value().map(|(index, _)| *index);
        self.show(head);
    }
}

/// An entry and the place the log said it has.
struct Acknowledged {
    entry: Vec<u8>,
    index: LeafIndex,
}

/// Hands in one thing after the other.
trait Writer: Send {
    /// Hands in the next thing; an error if the log is gone, `None` if it has no room now.
    fn write(&mut self, connection: &mut Connection) -> std::io::Result<Option<Acknowledged>>;
}

/// Lets the writers write, ends the log after so many acknowledgements, and enters what it said.
fn under_load<W: Writer>(
    world: &mut World,
    writers: Vec<W>,
    ledger: &mut Ledger,
    end_after: usize,
    end: impl FnOnce(Running),
) -> Vec<W> {
    let policy = world.read_policy();
    let address = world.log().address().to_owned();
    let log = world.take_log();
    let (acknowledge, acknowledged) = mpsc::channel();
    let heads = Mutex::new(Vec::new());
    let ended = AtomicBool::new(false);
    let writers = thread::scope(|scope| {
        let running: Vec<_> = writers
            .into_iter()
            .map(|mut writer| {
                let (acknowledge, address) = (acknowledge.clone(), &address);
                scope.spawn(move || {
                    let Ok(mut connection) = Connection::open(address) else { return writer };
                    while let Ok(answer) = writer.write(&mut connection) {
                        let Some(said) = answer else { continue };
                        acknowledge.send(said).unwrap();
                    }
                    writer
                })
            })
            .collect();
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                heads.lock().unwrap().extend(shown(&address, &policy));
            }
        });
        for _ in 0..end_after {
            ledger.acknowledge(acknowledged.recv_timeout(PATIENCE).expect("the log acknowledges something"));
        }
        end(log);
        ended.store(true, Ordering::Relaxed);
        running.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    drop(acknowledge);
    acknowledged.into_iter().for_each(|said| ledger.acknowledge(said));
    heads.into_inner().unwrap().into_iter().for_each(|head| ledger.show(head));
    writers
}

/// The checkpoint shown now, unless the log is gone.
fn shown(address: &str, policy: &Policy) -> Option<TreeHead> {
    let request = b"GET /checkpoint HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\r\n";
    let answer = http::exchange(address, request, false).ok()?;
    let note = SignedNote::parse(&answer.body).unwrap();
    Some(policy.verify_log_signature(&note).unwrap().head())
}

struct RawWriter {
    round: usize,
    writer: usize,
    entries: usize,
}

impl Writer for RawWriter {
    fn write(&mut self, connection: &mut Connection) -> std::io::Result<Option<Acknowledged>> {
        let mut entry =
            format!("round {}, writer {}, entry {}", self.round, self.writer, self.entries).into_bytes();
        // Some so large that writing them down takes a while.
        if self.entries.is_multiple_of(7) {
            entry.resize(60_000, b'.');
        }
        let answer = connection.post("/add", &entry)?;
        match answer.status {
            200 => {
                self.entries += 1;
                Ok(Some(Acknowledged { entry, index: parse_index(&answer.body).unwrap() }))
            }
            503 => Ok(None),
            _ => panic!("{answer:?}"),
        }
    }
}

struct RecordWriter {
    publisher: Publisher,
    /// What was sent and not answered. It may be in the log, so nothing else may take its place.
    sending: Option<SignedRecord>,
    records: usize,
    policy: Policy,
}

impl Writer for RecordWriter {
    fn write(&mut self, connection: &mut Connection) -> std::io::Result<Option<Acknowledged>> {
        let next = || self.publisher.next(format!("release {}", self.records).as_bytes());
        let record = self.sending.get_or_insert_with(next).clone();
        let entry = record.encode();
        let answer = connection.post("/submit", &entry)?;
        match answer.status {
            200 => {
                let proof = LogProof::parse(&answer.body).unwrap();
                let logged = proof.verify(&record.to_entry().leaf_hash(), &self.policy).unwrap();
                self.publisher.accepted(&record);
                self.sending = None;
                self.records += 1;
                Ok(Some(Acknowledged { entry, index: logged.index() }))
            }
            202 => {
                let index = SequencedAnswer::parse(&answer.body).unwrap().index;
                Ok(Some(Acknowledged { entry, index }))
            }
            503 => Ok(None),
            _ => panic!("{answer:?}"),
        }
    }
}
