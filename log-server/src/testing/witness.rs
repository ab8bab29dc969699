//! Witnesses of every character.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use indelible_proto::checkpoint::Checkpoint;
use indelible_proto::note::{NoteSignature, SignedNote, VerifierKey};
use indelible_proto::sign::{CheckpointSigner, CosignSigner};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::TreeHead;
use indelible_proto::witness_api::{
    ADD_CHECKPOINT_PATH, AddCheckpointRequest, SIZE_MEDIA_TYPE, encode_cosignatures, encode_size,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::{cosigner, log_signer, seconds, signed, signed_by};

/// How a witness takes its next requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Character {
    /// As c2sp.org/tlog-witness wants it.
    Honest,
    /// Never answers.
    Silent,
    /// Answers with this status.
    Failing(u16),
    /// Cosigns another checkpoint than the one it was asked for.
    Lying,
    /// Says it holds this size.
    Claiming(u64),
}

struct WitnessState {
    signer: CosignSigner,
    character: watch::Sender<Character>,
    /// Latest checkpoint cosigned, or pretended to be.
    held: Mutex<Option<(TreeHead, SignedNote)>>,
    /// The time of the next cosignature; each is a second later than the one before.
    clock: Mutex<u64>,
    asked: mpsc::UnboundedSender<TreeSize>,
}

/// A witness in this process, on a port of its own.
pub(crate) struct TestWitness {
    state: Arc<WitnessState>,
    url: String,
    asked: mpsc::UnboundedReceiver<TreeSize>,
}

impl TestWitness {
    pub(crate) async fn start(seed: u8, character: Character) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let state = Arc::new(WitnessState {
            signer: cosigner(seed),
            character: watch::Sender::new(character),
            held: Mutex::new(None),
            clock: Mutex::new(1_000_000),
            asked: asks,
        });
        let (adds, gets) = (Arc::clone(&state), Arc::clone(&state));
        let router = Router::new()
            .route(ADD_CHECKPOINT_PATH, post(async move |body: Bytes| adds.add_checkpoint(&body).await))
            .route("/{origin}/checkpoint", get(async move || gets.latest()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, url, asked }
    }

    /// Key and address, as a policy names them.
    pub(crate) fn line(&self) -> (VerifierKey, String) {
        (self.state.signer.verifier().clone(), self.url.clone())
    }

    /// Changes its character, also for the request it is silent about.
    pub(crate) fn become_(&self, character: Character) {
        self.state.character.send_replace(character);
    }

    /// Makes it hold a checkpoint.
    pub(crate) fn hold(&self, head: TreeHead) {
        self.hold_signed(head, &log_signer());
    }

    /// Makes it hold a checkpoint that this key signed.
    pub(crate) fn hold_signed(&self, head: TreeHead, signer: &CheckpointSigner) {
        *self.state.held.lock().unwrap() = Some((head, signed_by(head, signer).note));
    }

    /// Sets its clock.
    pub(crate) fn set_clock(&self, time: u64) {
        *self.state.clock.lock().unwrap() = time;
    }

    /// Makes it hold nothing.
    pub(crate) fn forget(&self) {
        *self.state.held.lock().unwrap() = None;
    }

    /// The size it is asked for next.
    pub(crate) async fn asked(&mut self) -> u64 {
        self.asked.recv().await.unwrap().get()
    }
}

impl WitnessState {
    async fn add_checkpoint(&self, body: &[u8]) -> Response {
        let request = AddCheckpointRequest::parse(body).unwrap();
        let checkpoint = Checkpoint::parse(request.note.text()).unwrap();
        let _ = self.asked.send(checkpoint.head().size);
        let mut character = self.character.subscribe();
        let character = character.wait_for(|character| *character != Character::Silent).await;
        match character.unwrap().clone() {
            Character::Silent => unreachable!("waited for another character"),
            Character::Failing(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Character::Claiming(size) => conflict(TreeSize::new(size).unwrap()),
            Character::Lying => {
                let other = signed(TreeHead { size: TreeSize::ZERO, ..TreeHead::empty() });
                answer(&self.cosign(other.note.text()))
            }
            Character::Honest => self.honestly(&request, checkpoint.head()),
        }
    }

    fn honestly(&self, request: &AddCheckpointRequest, head: TreeHead) -> Response {
        let mut held = self.held.lock().unwrap();
        let before = held.as_ref().map_or(TreeHead::empty(), |(head, _)| *head);
        if request.old != before.size {
            return conflict(before.size);
        }
        if request.proof.verify(&before, &head).is_err() {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        *held = Some((head, request.note.clone()));
        answer(&self.cosign(request.note.text()))
    }

    fn cosign(&self, text: &str) -> NoteSignature {
        let mut clock = self.clock.lock().unwrap();
        *clock += 1;
        self.signer.cosign(text, seconds(*clock)).unwrap()
    }

    fn latest(&self) -> Response {
        match &*self.held.lock().unwrap() {
            Some((_, note)) => note.encode().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

fn conflict(size: TreeSize) -> Response {
    let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(SIZE_MEDIA_TYPE));
    (StatusCode::CONFLICT, [media_type], encode_size(size)).into_response()
}

fn answer(signature: &NoteSignature) -> Response {
    encode_cosignatures(std::slice::from_ref(signature)).into_response()
}
