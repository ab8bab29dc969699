//! Row `admission`: signed records into a log in this process, from a leaf's bytes to the durable answer and the
//! index: strict parsing, the signature, the channel's rules, the commit. The bound is verifying the same signatures
//! alone, on all cores, with nothing known of their keys. The log prepares the keys that sign often; how fast
//! signatures are verified by such keys alone is in a note.
//!
//! Records are signed before anything is timed. The index may put off work until nothing is submitted: the CPU time
//! it still takes after the last answer is added to the time of the round, spread over all cores, and the next round
//! begins when it is at rest.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use indelible_proto::note::{PreparedKey, VerifierKey};
use indelible_proto::record::SignedRecord;
use indelible_proto::sign::Signer as _;
use indelible_server::kind::LogKind;
use indelible_server::sequencer::{SequencerHandle, Submission};
use indelible_tests::records::Channel;

use crate::Plan;
use crate::cpu;
use crate::limits::{Signed, verify_all, verify_all_prepared};
use crate::local_log::{LocalLog, check_one, wait_until_idle};
use crate::machine::cores;
use crate::report::{Line, Number};
use crate::stats::{Spread, us};

const CHANNELS: usize = 128;
/// Records a thread may have unanswered.
const WAITING: usize = 2_048;
const MIN_RATIO: f64 = 0.8;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let log = LocalLog::create(LogKind::Records, plan.dir())?;
    let sequencer = log.open()?;
    let mut vendors = (0..CHANNELS).map(Channel::new).collect::<Result<Vec<_>>>()?;
    // At full scale as many as make the index move what it has put off.
    let each = plan.of(544, 8);
    admit(&sequencer.handle(), &Round::sign(&mut vendors, plan.of(160, 8))?)?;
    let keys = vendors.iter().map(|vendor| vendor.signer().verifier());
    let prepared = |key: &VerifierKey| {
        let prepared = PreparedKey::new(key).context("a record key is prepared")?;
        Ok((key.public_key_bytes().try_into()?, prepared))
    };
    let keys = keys.map(prepared).collect::<Result<_>>()?;
    let (mut rounds, mut one_core, mut of_prepared) = (vec![], vec![], vec![]);
    let (mut cpu_us, mut alone_us, mut prepared_us) = (vec![], vec![], vec![]);
    for _ in 0..plan.rounds() {
        let round = Round::sign(&mut vendors, each)?;
        let count = round.signatures.len() as f64;
        wait_until_idle()?;
        let cpu = cpu::of_this_process();
        let alone = count / verify_all(&round.signatures, cores())?.as_secs_f64();
        alone_us.push(us(cpu::of_this_process() - cpu) / count);
        let cpu = cpu::of_this_process();
        let prepared = count / verify_all_prepared(&round.signatures, &keys, cores())?.as_secs_f64();
        prepared_us.push(us(cpu::of_this_process() - cpu) / count);
        one_core.push(count / verify_all(&round.signatures, 1)?.as_secs_f64());
        let (cpu, begun) = (cpu::of_this_process(), Instant::now());
        admit(&sequencer.handle(), &round)?;
        let (took, answered) = (begun.elapsed(), cpu::of_this_process());
        wait_until_idle()?;
        let (all, after) = (cpu::of_this_process() - cpu, cpu::of_this_process() - answered);
        let admitted = count / (took + after / u32::try_from(cores())?).as_secs_f64();
        rounds.push((admitted, alone));
        of_prepared.push(admitted / prepared);
        cpu_us.push(us(all) / count);
    }
    sequencer.shutdown();
    let median = |rounds| Spread::of(rounds).median;
    let [one_core, of_prepared] = [one_core, of_prepared].map(median);
    let [cpu_us, alone_us, prepared_us] = [cpu_us, alone_us, prepared_us].map(median);
    let case = format!("signed records, {} threads x {WAITING} unanswered", cores());
    let bound = format!("verify_strict alone on {} cores", cores());
    let line = Line::new("admission", case, "/s", &rounds, bound);
    let met = line.ratio.median >= MIN_RATIO;
    let of_one = Number(line.measured.spread.median / one_core);
    Ok(vec![
        line.note(format!(
            "CPU {} µs per record, all that it causes included; a verify_strict takes {}",
            Number(cpu_us),
            Number(alone_us),
        ))
        .note(format!(
            "the log prepares keys that sign often: {} µs a signature; {} of such signatures alone",
            Number(prepared_us),
            Number(of_prepared),
        ))
        .note(format!("{of_one} of verify_strict on one core, {}/s", Number(one_core)))
        .goal(format!("at least {MIN_RATIO} of the signatures alone"), met),
    ])
}

/// Records to be admitted in one round, and their bare signatures.
struct Round {
    /// For each channel, in order.
    leaves: Vec<Vec<Vec<u8>>>,
    signatures: Vec<Signed>,
}

impl Round {
    fn sign(vendors: &mut [Channel], each: usize) -> Result<Self> {
        let (mut leaves, mut signatures) = (Vec::new(), Vec::new());
        for vendor in vendors {
            let mut signed = Vec::with_capacity(each);
            for _ in 0..each {
                let record = vendor.sign_next()?;
                signatures.push(Signed::of_record(&record, vendor.signer())?);
                signed.push(record.encode());
            }
            leaves.push(signed);
        }
        Ok(Self { leaves, signatures })
    }
}

/// Hands in all of a round, each thread a share of the channels, whose records take turns.
fn admit(log: &SequencerHandle, round: &Round) -> Result<()> {
    std::thread::scope(|scope| {
        let shares = round.leaves.chunks(round.leaves.len().div_ceil(cores()).max(1));
        let threads: Vec<_> = shares.map(|share| scope.spawn(move || admit_share(log, share))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("panicked")))
    })
}

fn admit_share(log: &SequencerHandle, channels: &[Vec<Vec<u8>>]) -> Result<()> {
    let mut unanswered = VecDeque::with_capacity(WAITING);
    let longest = channels.iter().map(Vec::len).max().unwrap_or_default();
    for leaf in (0..longest).flat_map(|turn| channels.iter().filter_map(move |leaves| leaves.get(turn))) {
        if unanswered.len() == WAITING {
            unanswered.pop_front().map_or(Ok(()), check_one)?;
        }
        let record = SignedRecord::parse(leaf)?;
        unanswered.push_back(log.submit(Submission::Record(Box::new(record)))?);
    }
    unanswered.into_iter().try_for_each(check_one)
}
