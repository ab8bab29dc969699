//! The checks that make the proof's bytes worth reading: log signature, inclusion, witnesses.

use indelible_proto::hash::leaf_hash;
use indelible_proto::policy::{Policy, PolicyError, Quorum};
use indelible_proto::proof::Logged;

use super::{Check, CheckName, Request};

const GET_PROOF_AGAIN: &str =
    "fetch the .tlog-proof again from where the artifact came from; if it stays so, do not install";

/// The checkpoint is signed by a log of the policy, under that log's origin.
pub(super) fn log_signature(request: &Request<'_>) -> Check {
    let check = Check::new(CheckName::LogSignature).detail("policy", request.policy.fingerprint());
    match request.policy.verify_log_signature(request.proof.note()) {
        Ok(signed) => check
            .detail("origin", signed.checkpoint().origin())
            .detail("log key", signed.log_key())
            .detail("tree size", signed.head().size)
            .detail("root", signed.head().root.to_base64()),
        Err(error) => {
            let claimed = super::claimed_origin(request.proof);
            let origin = claimed.map_or_else(|| "no readable origin".to_owned(), |origin| origin.to_string());
            let message =
                format!("not signed by a log of the policy: {error} (the checkpoint says {origin})");
            check.detail("origin", origin).refused(
                error.code(),
                message,
                "check that the policy is the one the vendor gives out; otherwise do not install",
            )
        }
    }
}

/// The leaf in the proof is in the tree of the checkpoint.
pub(super) fn inclusion(request: &Request<'_>) -> Check {
    let proof = request.proof;
    let check = Check::new(CheckName::Inclusion).detail("index", proof.index());
    let Some(leaf) = proof.extra() else {
        return check.refused(
            "proof-without-record",
            "the proof carries no record, so nothing says what it is a proof of",
            GET_PROOF_AGAIN,
        );
    };
    let hash = leaf_hash(leaf);
    let check = check
        .detail("leaf hash", hash.to_base64())
        .detail("path", format!("{} hashes", proof.proof().hashes().len()));
    let head = match super::remembered::claimed_checkpoint(proof.note()) {
        Ok(checkpoint) => checkpoint.head(),
        Err(error) => return check.refused(error.code(), error, GET_PROOF_AGAIN),
    };
    match proof.proof().verify(&hash, proof.index(), &head) {
        Ok(()) => check,
        Err(error) => check.refused(error.code(), format!("not logged: {error}"), GET_PROOF_AGAIN),
    }
}

/// The policy's quorum of witnesses has cosigned the checkpoint.
pub(super) fn witnesses(request: &Request<'_>) -> Check {
    let (policy, note) = (request.policy, request.proof.note());
    let mut check =
        Check::new(CheckName::Witnesses).detail("quorum", describe_quorum(policy, policy.quorum()));
    check.ignored = unknown_signatures(request);
    let cosignatures = match policy.verified_cosignatures(note) {
        Ok(cosignatures) => cosignatures,
        Err(error) => return refuse_witnesses(check, error),
    };
    for (index, cosignature) in &cosignatures {
        let name = policy.witnesses().get(*index).map_or("", |witness| witness.name.as_str());
        let time = cosignature.timestamp().map_or_else(|| "no time".to_owned(), |time| time.to_string());
        check = check.detail("cosigned", format!("{name} ({}) at {time}", cosignature.signature().name()));
    }
    let indices: Vec<usize> = cosignatures.iter().map(|(index, _)| *index).collect();
    if policy.quorum_met(&indices) {
        return check;
    }
    let message = format!(
        "not witnessed: {} of the policy's {} witnesses cosigned, which is not a quorum",
        indices.len(),
        policy.witnesses().len(),
    );
    check.refused(
        "quorum-not-met",
        message,
        "fetch a newer .tlog-proof; if the vendor has none that enough witnesses cosigned, do not install",
    )
}

fn refuse_witnesses(check: Check, error: PolicyError) -> Check {
    check.refused(error.code(), format!("not witnessed: {error}"), GET_PROOF_AGAIN)
}

/// The proven entry, made by the one function that can make it.
pub(super) fn logged(request: &Request<'_>) -> Option<Logged> {
    let leaf = request.proof.extra()?;
    request.proof.verify(&leaf_hash(leaf), request.policy).ok()
}

/// The failure for a proof whose parts verify and whose whole does not.
pub(super) fn unexplained() -> Check {
    Check::new(CheckName::Inclusion).refused(
        "proof-not-verified",
        "not logged: the parts of the proof verify one by one but not together",
        GET_PROOF_AGAIN,
    )
}

fn unknown_signatures(request: &Request<'_>) -> Vec<String> {
    let policy = request.policy;
    let signatures = request.proof.note().signatures().iter();
    signatures
        .filter(|line| {
            !policy.logs().iter().any(|log| line.names(&log.key))
                && !policy.witnesses().iter().any(|witness| line.names(&witness.key))
        })
        .map(|line| format!("signature by {} ({}): not in the policy", line.name(), line.id()))
        .collect()
}

/// The quorum in words, with the names the policy gives its witnesses.
pub fn describe_quorum(policy: &Policy, quorum: &Quorum) -> String {
    match quorum {
        Quorum::Witness(place) => policy.witnesses().get(*place).map_or_else(String::new, |w| w.name.clone()),
        Quorum::Group { threshold, members } => {
            let names: Vec<String> = members.iter().map(|member| describe_quorum(policy, member)).collect();
            format!("{threshold} of ({})", names.join(", "))
        }
        _ => "none needed".to_owned(),
    }
}
