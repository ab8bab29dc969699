//! Row `process`: `indelible verify` of one artifact as a whole process, as an installer starts it; without any
//! state, and with a client's file and all that is remembered of a channel of a thousand records. Beside it, in
//! turns, the same program that only says its version: what starting a process costs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_submit::{HttpLog, SubmitAnswer, SubmitLog as _};
use indelible_tests::load::runtime;
use indelible_tests::records::Channel;
use indelible_tests::world::{Kind, World};

use crate::Plan;
use crate::report::{Line, Number};
use crate::stats::{Latencies, ms};

/// Records of the channel that is known.
const RECORDS: (usize, usize) = (1_000, 20);
const MAX_MS: f64 = 15.0;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let world = World::start(Kind::Records, 3, 2);
    let shop = Shop { world, log_answers_in: runtime()? };
    let plain = shop.plain()?;
    let count = plan.of(RECORDS.0, RECORDS.1);
    let known = shop.known(count)?;
    Ok(vec![
        measure(plan, &shop, "verify, a policy and a pinned channel, no state", &plain)?,
        measure(plan, &shop, &format!("verify, client.toml, {count} records known"), &known)?,
    ])
}

fn measure(plan: &Plan, shop: &Shop, case: &str, verify: &[String]) -> Result<Line> {
    let count = plan.of(200, 10);
    let version = ["--version".to_owned()];
    shop.times(verify, count / 10)?;
    let (mut rounds, mut all) = (vec![], vec![]);
    for _ in 0..plan.rounds() {
        let (mut verifying, mut starting) = (vec![], vec![]);
        for _ in 0..count {
            verifying.extend(shop.times(verify, 1)?);
            starting.extend(shop.times(&version, 1)?);
        }
        all.extend_from_slice(&verifying);
        let [verifying, starting] =
            [verifying, starting].map(|times| ms(Latencies::of(times).percentile(50.0)));
        rounds.push((verifying, starting));
    }
    let all = Latencies::of(all);
    let line = Line::new("process", case, "ms", &rounds, "the program says its version");
    let met = line.measured.spread.median <= MAX_MS;
    let (p99, count) = (Number(ms(all.percentile(99.0))), all.count());
    Ok(line
        .note(format!("p50 of each round; p99 of all {count}: {p99} ms"))
        .goal(format!("p50 at most {MAX_MS} ms"), met))
}

/// A vendor's artifacts beside a log and its witnesses.
struct Shop {
    world: World,
    log_answers_in: tokio::runtime::Runtime,
}

impl Shop {
    /// How long each of `count` runs of `indelible` takes, which must succeed.
    fn times(&self, args: &[String], count: usize) -> Result<Vec<Duration>> {
        let run = || {
            let mut command = self.world.client();
            command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begun = Instant::now();
            let status = command.status().context("indelible can't be started")?;
            let took = begun.elapsed();
            ensure!(status.success(), "indelible {args:?} ended with {status}");
            Ok(took)
        };
        (0..count).map(|_| run()).collect()
    }

    /// The arguments that verify an artifact of a channel that is pinned by its proof.
    fn plain(&self) -> Result<Vec<String>> {
        let mut channel = Channel::new(1)?;
        let opening = self.proof_of(&channel.sign_next()?.encode())?;
        let pin = self.write("channel.tlog-proof", &opening)?;
        let artifact = self.artifact("plain", &mut channel)?;
        let policy = self.world.policy();
        let args = [
            "verify",
            &text(&artifact)?,
            "--policy",
            &text(&policy)?,
            "--channel",
            &text(&pin)?,
            "--no-state",
        ];
        Ok(args.map(ToOwned::to_owned).into())
    }

    /// The same with a client's file, after the client has learned a channel of `count` records.
    fn known(&self, count: usize) -> Result<Vec<String>> {
        let mut channel = Channel::new(2)?;
        let opening = channel.sign_next()?;
        self.proof_of(&opening.encode())?;
        for _ in 2..count {
            self.proof_of(&channel.sign_next()?.encode())?;
        }
        let artifact = self.artifact("known", &mut channel)?;
        let name = &opening.statement().predicate.common().channel;
        let config = format!(
            "policy = {:?}\nstate = \"remembered\"\n[channels]\n\"{name}\" = \"{}\"\n",
            self.world.policy(),
            opening.record_id()
        );
        let config = text(&self.write("client.toml", config.as_bytes())?)?;
        self.times(&["update-state".to_owned(), "--config".to_owned(), config.clone()], 1)?;
        Ok(["verify", &text(&artifact)?, "--config", &config].map(ToOwned::to_owned).into())
    }

    /// The artifact of the channel's next release, with its proof beside it.
    fn artifact(&self, name: &str, channel: &mut Channel) -> Result<PathBuf> {
        let release = channel.sign_next()?;
        self.write(&format!("{name}.tlog-proof"), &self.proof_of(&release.encode())?)?;
        self.write(name, channel.artifact().as_bytes())
    }

    /// Publishes a record.
    fn proof_of(&self, leaf: &[u8]) -> Result<Vec<u8>> {
        let log = HttpLog::new(self.world.url(), HttpClient::new(Timeouts::default())?);
        match self.log_answers_in.block_on(log.submit(leaf))? {
            SubmitAnswer::Proof(proof) => Ok(proof),
            other => bail!("no proof: {other:?}"),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.world.file(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a path that is text")?.to_owned())
}
