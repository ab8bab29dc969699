//! Carrying out what [`Watch`] decides: fetching, storing, telling.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote};
use indelible_proto::policy::Policy;
use indelible_proto::size::TreeSize;
use tokio::task::spawn;

use super::alert::{Alert, Class, Finding, Report};
use super::event::{Action, Event, Question, Reason};
use super::read_ahead::ReadAhead;
use super::scan::LogKind;
use super::sources::{Place, Places};
use super::step::Watch;
use super::store::{LogStore, WatchDir};
use crate::fetch::SourceError;
use crate::state::StateError;

/// Who is told what the watchdog finds.
pub trait Listener {
    /// Called for every report in the order of what happened. `evidence` is the evidence file it is about.
    fn hear(&mut self, report: &Report, evidence: Option<&Path>);
}

/// Follows one log and its places from round to round.
pub struct Follower {
    watch: Watch,
    store: LogStore,
    places: Places,
    reading: Option<ReadAhead>,
}

/// How a round ended.
#[derive(Debug, Default)]
pub struct Round {
    /// The gravest alert of the round; `None` if all was well.
    pub gravest: Option<Class>,
    /// Something could not be written. What was found has been told all the same; do not go on.
    pub trouble: Option<StateError>,
}

impl Round {
    fn note(&mut self, class: Class) {
        self.gravest = self.gravest.max(Some(class));
    }
}

impl Follower {
    /// Goes on with what is stored about the log.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(dir: &WatchDir, places: Places, policy: &Policy, kind: LogKind) -> Result<Self, StateError> {
        let store = dir.log(&places.origin, kind, policy)?;
        let (held, ahead) = store.load()?;
        let mut watch = Watch::new(policy.clone(), places.origin.clone(), kind, held, ahead);
        store.notes().for_each(|note| watch.recall(&note));
        for latch in store.latches()? {
            watch.recall_dispute(latch.checkpoint);
        }
        Ok(Self { watch, store, places, reading: None })
    }

    /// What the watch holds.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What is stored about the log.
    pub fn store(&self) -> &LogStore {
        &self.store
    }

    /// Clears all disputes, as only a person may decide. One that is seen again latches again.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn clear(&mut self) -> Result<(), StateError> {
        self.store.clear()?;
        self.watch.forget_disputes();
        Ok(())
    }

    /// Looks at every place once.
    ///
    /// # Errors
    /// [`StateError`] if the latch cannot be read.
    pub async fn round(&mut self, listener: &mut impl Listener) -> Result<Round, StateError> {
        let mut round = Round::default();
        for latch in self.store.latches()? {
            let path = self.store.evidence_path(&latch.file);
            let alert = Alert::Latched { evidence: path.display().to_string() };
            round.note(alert.class());
            let source = self.places.log.vantage.label.clone();
            let finding = Finding::Bad(alert);
            listener.hear(&Report { origin: self.places.origin.clone(), source, finding }, Some(&path));
        }
        // The log is asked last and weighed first: then it has had time to publish what others show, and
        // what they show is compared with the newest of it.
        let asked: Vec<_> = self.places.others.iter().cloned().map(|place| spawn(look(place))).collect();
        let mut seen = Vec::new();
        for answer in asked {
            seen.push(answer.await.expect("invariant: looking does not panic and is not aborted"));
        }
        let first = [look(self.places.log.clone()).await, Event::Recheck];
        for event in first.into_iter().chain(seen) {
            self.handle(event, &mut round, listener).await;
        }
        Ok(round)
    }

    async fn handle(&mut self, event: Event, round: &mut Round, listener: &mut impl Listener) {
        if let Event::Seen { note, .. } = &event
            && let Err(error) = self.store.keep_note(note)
        {
            round.trouble = Some(error);
        }
        let mut work = VecDeque::from(self.watch.step(event));
        while let Some(action) = work.pop_front() {
            let next = match action {
                Action::Report(report) => {
                    self.tell(&report, round, listener);
                    continue;
                }
                Action::SaveEvidence(dispute) => self.store.save_evidence(&dispute).map(|_| None),
                Action::Save => self.store.save(self.watch.held()).map(|()| None),
                Action::SaveAhead => {
                    let base = self.watch.held().scan.size();
                    self.store.save_ahead(self.watch.ahead(), base).map(|()| None)
                }
                Action::Ask(question) => Ok(Some(self.ask(question).await)),
                Action::Read { from, to } => Ok(Some(self.read(from, to).await)),
            };
            match next {
                Ok(Some(event)) => self.watch.step(event).into_iter().rev().for_each(|a| work.push_front(a)),
                Ok(None) => {}
                Err(error) => round.trouble = Some(error),
            }
        }
    }

    fn tell(&self, report: &Report, round: &mut Round, listener: &mut impl Listener) {
        let mut evidence: Option<PathBuf> = None;
        if let Finding::Bad(alert) = &report.finding {
            round.note(alert.class());
            if let Alert::Fork { file, .. } = alert {
                evidence = Some(self.store.evidence_path(file));
            }
        }
        listener.hear(report, evidence.as_deref());
    }

    async fn ask(&self, question: Box<Question>) -> Event {
        let Some((by, client)) = self.places.with_tiles(question.from()).nth(question.tried()) else {
            return Event::NoNodes(question);
        };
        let answer = client.nodes(question.nodes(), question.size()).await;
        let answer = answer.map_err(|error| reason(error.code(), &error));
        Event::Nodes { question, by, answer }
    }

    async fn read(&mut self, from: TreeSize, to: TreeSize) -> Event {
        let reading = self.reading.take().filter(|reading| reading.stands_at(from, to));
        let mut reading = reading.unwrap_or_else(|| ReadAhead::new(self.places.log.client(), from, to));
        let answer = reading.next().await.map_err(|error| reason(error.code(), &error));
        if answer.is_ok() {
            self.reading = Some(reading);
        }
        Event::Entries(answer)
    }
}

/// Looks at one place.
async fn look(place: Place) -> Event {
    let Place { vantage: from, source, path } = place;
    match source.get(&path, MAX_NOTE_BYTES).await {
        Ok(note) => match source.web_page(&path, &note) {
            Some(page) if SignedNote::parse(&note).is_err() => {
                Event::Unread { from, why: reason(page.code(), &page) }
            }
            _ => Event::Seen { from, note },
        },
        Err(SourceError::NotFound { .. }) => Event::Absent { from },
        Err(error) => Event::Unread { from, why: reason(error.code(), &error) },
    }
}

/// An error with everything that led to it, in one line.
fn reason(code: &'static str, error: &dyn std::error::Error) -> Reason {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let message: Vec<String> = causes.map(ToString::to_string).collect();
    Reason { code, message: message.join(": ") }
}
