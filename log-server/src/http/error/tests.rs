use indelible_proto::record::RecordId;
use indelible_proto::tree::InclusionError;

use super::*;

fn unreadable() -> ReadError {
    let index = indelible_proto::size::LeafIndex::new(7).unwrap();
    ReadError::Inclusion(InclusionError::IndexOutsideTree { index, size: TreeSize::ZERO })
}

/// Every problem once, with the answer it must have and why.
fn table() -> Vec<(Problem, u16, &'static str)> {
    let head = RecordId::from_hash(indelible_proto::hash::sha256(b"head"));
    let refused = |error| Problem::Refused { error, head: None };
    vec![
        (Problem::UnknownPath, 404, "path-unknown"),
        // RFC 9110, section 15.5.6.
        (Problem::Method, 405, "method-not-allowed"),
        (Problem::TilePath(TileError::Path), 400, "tile-path"),
        (Problem::ChannelPath(AnswerError::Field { field: "path" }), 400, "answer-field"),
        (Problem::LookupPath(AnswerError::Field { field: "path" }), 400, "answer-field"),
        // tlog-tiles: only tiles that a checkpoint demands are served.
        (Problem::BeyondTree { size: TreeSize::ZERO }, 404, "beyond-tree"),
        (Problem::UnknownChannel(ChannelName::parse("a.example/b").unwrap()), 404, "channel-unknown"),
        (Problem::OtherKind { kind: LogKind::Records }, 404, "kind-records"),
        (Problem::OtherKind { kind: LogKind::Raw }, 404, "kind-raw"),
        (Problem::BodyTooLong { max: 65_535 }, 413, "body-too-long"),
        (Problem::BodySlow { limit: Duration::from_secs(10) }, 408, "body-slow"),
        (Problem::BodyBroken, 400, "body-broken"),
        (Problem::Batch(BatchError::Empty), 400, "batch-empty"),
        (Problem::Batch(BatchError::TooMany { max: 256 }), 413, "batch-too-many"),
        (Problem::Record(RecordError::NoSignature), 400, "record-unsigned"),
        // Made for another state of the channel: the publisher can repair it.
        (refused(AdmissionError::ChannelUnknown { seq: 3 }), 409, "channel-unknown"),
        (refused(AdmissionError::ChannelExists { expected: 4 }), 409, "channel-exists"),
        (refused(AdmissionError::Seq { got: 3, expected: 4 }), 409, "seq-mismatch"),
        (refused(AdmissionError::Prev { got: None, expected: head }), 409, "prev-mismatch"),
        (refused(AdmissionError::Keys { got: None, expected: head }), 409, "keys-mismatch"),
        (refused(AdmissionError::Frozen), 409, "publish-frozen"),
        (refused(AdmissionError::RecoveryHead { got: None, expected: None }), 409, "recovery-head-mismatch"),
        // Wrong in itself.
        (refused(AdmissionError::NoRecovery), 422, "recovery-none"),
        (refused(AdmissionError::OtherChannel), 422, "channel-other"),
        (refused(AdmissionError::UnknownSigner { line: 0 }), 422, "signer-unknown"),
        (refused(AdmissionError::SignatureInvalid { line: 0 }), 422, "signature-invalid"),
        (refused(AdmissionError::Threshold { got: 1, needed: 2 }), 422, "threshold-not-met"),
        (refused(AdmissionError::NewKeyUnsigned { key: 0 }), 422, "new-key-unsigned"),
        (refused(AdmissionError::NewKeyAmbiguous { key: 0 }), 422, "new-key-ambiguous"),
        (refused(AdmissionError::NewRecoveryKeyUnsigned { key: 0 }), 422, "new-recovery-key-unsigned"),
        (refused(AdmissionError::NewRecoveryKeyAmbiguous { key: 0 }), 422, "new-recovery-key-ambiguous"),
        (refused(AdmissionError::RecoveryChanged), 422, "recovery-changed"),
        (refused(AdmissionError::Form), 422, "record-form"),
        // The operator's decision, which another record or another time may change.
        (
            Problem::MayNotOpen(OpeningError::Closed { domain: "a.example".into() }),
            403,
            "channel-domain-closed",
        ),
        (
            Problem::MayNotOpen(OpeningError::NotOwner { domain: "a.example".into() }),
            403,
            "channel-owner-unsigned",
        ),
        // Pressure is 503 with Retry-After, never 500.
        (Problem::ClientLimit { retry_after_s: 1 }, 429, "client-limit"),
        (Problem::Crowded, 503, "bodies-full"),
        (Problem::QueueFull { retry_after_s: 1 }, 503, "queue-full"),
        (Problem::Backlog { unpublished: 5, max: 5 }, 503, "unpublished-backlog"),
        (Problem::DiskSpace { free_mib: 9, min_mib: 10 }, 503, "disk-space"),
        (Problem::Stopping, 503, "stopping"),
        (Problem::OutcomeUnknown, 503, "outcome-unknown"),
        (Problem::IndexRebuilt, 503, "index-rebuilt"),
        (Problem::Index(IndexError::Read(unreadable())), 500, "storage-unreadable"),
        (Problem::Read(unreadable()), 500, "storage-unreadable"),
        (Problem::SelfCheck(ProofError::ExtraEmpty), 500, "self-check-failed"),
        (Problem::ChannelFile(ChannelFileError::Count { got: 0 }), 500, "channel-file-not-made"),
    ]
}

/// The row of a problem's kind; a new kind does not compile until it has one.
fn kind(problem: &Problem) -> usize {
    match problem {
        Problem::UnknownPath => 0,
        Problem::Method => 1,
        Problem::TilePath(_) => 2,
        Problem::ChannelPath(_) => 3,
        Problem::BeyondTree { .. } => 4,
        Problem::UnknownChannel(_) => 5,
        Problem::OtherKind { .. } => 6,
        Problem::BodyTooLong { .. } => 7,
        Problem::BodySlow { .. } => 8,
        Problem::BodyBroken => 9,
        Problem::Record(_) => 10,
        Problem::Refused { .. } => 11,
        Problem::QueueFull { .. } => 12,
        Problem::Backlog { .. } => 13,
        Problem::Stopping => 14,
        Problem::OutcomeUnknown => 15,
        Problem::Read(_) => 16,
        Problem::SelfCheck(_) => 17,
        Problem::MayNotOpen(_) => 24,
        Problem::ChannelFile(_) => 25,
        Problem::LookupPath(_) => 18,
        Problem::IndexRebuilt => 19,
        Problem::Index(_) => 20,
        Problem::Batch(_) => 21,
        Problem::ClientLimit { .. } => 22,
        Problem::Crowded => 23,
        Problem::DiskSpace { .. } => 26,
    }
}

async fn body(response: Response) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
}

#[test]
fn the_table_has_every_kind_of_problem() {
    let kinds: std::collections::BTreeSet<usize> =
        table().iter().map(|(problem, ..)| kind(problem)).collect();
    assert!(kinds.into_iter().eq(0..27));
}

#[tokio::test]
async fn every_problem_has_its_status_and_its_code() {
    for (problem, status, code) in table() {
        let name = format!("{problem:?}");
        let response = problem.into_response();
        assert_eq!(response.status().as_u16(), status, "{name}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], JSON_MEDIA_TYPE);
        let retry = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(retry, [429, 503].contains(&status), "{name}");
        let error = ApiError::parse(&body(response).await).unwrap();
        assert_eq!(error.code(), code, "{name}");
        assert!(error.message().len() > 20, "{name}: {}", error.message());
    }
}

#[tokio::test]
async fn nothing_of_the_servers_inside_is_told() {
    let inside = unreadable();
    let told = inside.to_string();
    let response = Problem::Read(inside).into_response();
    assert!(!String::from_utf8(body(response).await).unwrap().contains(&told));
}
