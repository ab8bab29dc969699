//! The checks of what the record says, once its bytes are proven: form, signers, channel, artifact.

use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{
    ChannelState, Predicate, RecordError, SignedRecord, Statement, Subject, may_follow,
};

use super::{Check, CheckName, Request, Trust, TrustedChannel};
use crate::channel::KnownChannel;
use crate::files::{ArtifactDigest, FileDigest};
use indelible_proto::note::VerifierKey;

const FETCH_AGAIN: &str =
    "fetch the artifact and its .tlog-proof again from the vendor; if it stays so, do not install";
const OTHER_FOLDER: &str = "if the bundle is one folder of the archive, name it with --folder; otherwise fetch the archive and its .tlog-proof \
     again from the vendor, and if it stays so, do not install";
const ASK_VENDOR: &str = "do not install; ask the vendor which key signs this channel";

pub(super) struct Content {
    pub(super) checks: Vec<Check>,
    pub(super) record: Option<SignedRecord>,
}

/// Runs the checks of the proven entry.
pub(super) fn checks(request: &Request<'_>) -> Content {
    let check = Check::new(CheckName::Record);
    let leaf = request.proof.extra().unwrap_or_default();
    let record = match SignedRecord::parse(leaf) {
        Ok(record) => record,
        Err(error) => return no_record(check, error),
    };
    let form = check
        .detail("record", record.record_id())
        .detail("type", record.statement().predicate.type_name())
        .detail("bytes", leaf.len());
    let (signers, channel) = match request.trust {
        Trust::Channel(trusted) => {
            let known = request.known_channel();
            let signers = signed_by_channel(&record, trusted, known);
            (narrowed(signers, &record, trusted.only_by()), of_channel(&record, trusted, known))
        }
        Trust::Keys(keys) => (signed_by_one_of(&record, keys), any_channel(&record)),
        Trust::Nobody => (signed_by_nobody(), any_channel(&record)),
    };
    let artifact = names_artifact(&record, request.artifact);
    Content { checks: vec![form, signers, channel, artifact], record: Some(record) }
}

fn no_record(check: Check, error: RecordError) -> Content {
    let form = check.refused(
        error.code(),
        format!("not the vendor: what was logged is not a record: {error}"),
        "this is a proof of something else; ask the vendor for the artifact's own .tlog-proof",
    );
    let unread = [CheckName::Signers, CheckName::Channel, CheckName::Artifact];
    let rest = unread.map(|name| Check::not_run(name, CheckName::Record));
    Content { checks: [form].into_iter().chain(rest).collect(), record: None }
}

fn signed_by_channel(record: &SignedRecord, trusted: &TrustedChannel, known: Option<&KnownChannel>) -> Check {
    let check = Check::new(CheckName::Signers);
    if known.is_some_and(|known| known.record(record.record_id()).is_some()) {
        return check.detail("verified", "with the keys in force for it, when the channel file was read");
    }
    let signers = match known {
        None => trusted.signers(),
        Some(known) => match known.state().signers() {
            Some(signers) => signers,
            None => {
                let message =
                    "not the vendor: the recovery keys have frozen the channel, nobody may sign for it";
                return check.refused("channel-frozen", message, ASK_VENDOR);
            }
        },
    };
    let check = check.detail("needed", format!("{} of {} keys", signers.threshold(), signers.keys().len()));
    let check = signed_by(check, record, signers.keys(), usize::from(signers.threshold()));
    // A channel admits no signature but by its keys, so this record was never admitted to it.
    let check = match check.ignored.first() {
        Some(foreign) if check.passed() => {
            let message = format!("not the vendor: {foreign} of the channel");
            Check { ignored: Vec::new(), ..check }.refused("signer-unknown", message, ASK_VENDOR)
        }
        _ => check,
    };
    match known.map(KnownChannel::state) {
        Some(state) if check.passed() && continues(record, state) => admitted(check, record, state),
        _ => check,
    }
}

/// Whether the record names what is known of its channel as what it follows on.
fn continues(record: &SignedRecord, state: &ChannelState) -> bool {
    let common = record.statement().predicate.common();
    state
        .next_place(common.chain)
        .is_some_and(|next| (common.seq, common.prev, common.keys) == (next.seq, next.prev, Some(next.keys)))
}

/// Of a record that continues the channel, the function that admits records has the last word. The checks before
/// it say the same in more detail.
fn admitted(check: Check, record: &SignedRecord, state: &ChannelState) -> Check {
    match may_follow(Some(state), record) {
        Ok(_) => check,
        Err(error) => {
            let message = format!("not the vendor: the channel does not admit the record: {error}");
            check.refused(error.code(), message, ASK_VENDOR)
        }
    }
}

fn signed_by_one_of(record: &SignedRecord, keys: &[VerifierKey]) -> Check {
    let check = Check::new(CheckName::Signers).detail("needed", format!("1 of {} given keys", keys.len()));
    signed_by(check, record, keys, 1)
}

/// What the channel's keys signed, held to the keys that were given besides.
fn narrowed(by_channel: Check, record: &SignedRecord, keys: &[VerifierKey]) -> Check {
    if keys.is_empty() || !by_channel.passed() {
        return by_channel;
    }
    let by_given = signed_by_one_of(record, keys);
    if !by_given.passed() {
        return by_given;
    }
    by_channel.detail("needed besides", format!("1 of {} given keys", keys.len()))
}

fn signed_by_nobody() -> Check {
    Check::new(CheckName::Signers).undecided(
        "no-trusted-keys",
        "nothing says whose signatures to trust for this artifact",
        "pass --channel with the vendor's channel proof, or --key with the vendor's key; of a channel that the client's \
         file names, learn with: indelible update-state",
    )
}

/// At least `threshold` different `keys` signed the record, and none of them in vain.
fn signed_by(mut check: Check, record: &SignedRecord, keys: &[VerifierKey], threshold: usize) -> Check {
    let foreign = record.signatures().iter().filter(|line| !keys.iter().any(|key| line.names(key)));
    check.ignored = foreign
        .map(|line| format!("signature by {} ({}): not a trusted key", line.name(), line.id()))
        .collect();
    let mut signers = 0;
    for key in keys {
        match record.signed_by(key) {
            Ok(true) => {
                signers += 1;
                check = check.detail("signed by", key);
            }
            Ok(false) => {}
            Err(error) => {
                let message = format!("not the vendor: the signature by {} is wrong: {error}", key.name());
                return check.refused(error.code(), message, ASK_VENDOR);
            }
        }
    }
    if signers >= threshold {
        return check;
    }
    let message = format!("not the vendor: signed by {signers} trusted keys where {threshold} are needed");
    check.refused("record-not-signed", message, ASK_VENDOR)
}

/// The record is of the channel, and under the keys that are in force for it as far as that is known.
fn of_channel(record: &SignedRecord, trusted: &TrustedChannel, known: Option<&KnownChannel>) -> Check {
    const NEXT: &str = "do not install; the record is for other readers than those of the trusted channel";
    const OTHER_KEYS: &str = "if the vendor changed keys, the channel file shows it: run indelible update-state, \
                              or pass --channel-file; otherwise do not install";
    let common = record.statement().predicate.common();
    let check = Check::new(CheckName::Channel)
        .detail("channel", &common.channel)
        .detail("trusted channel", trusted.name())
        .detail("opened by record", trusted.genesis());
    if common.channel != *trusted.name() {
        let message = format!("the record is of channel {}, trusted is {}", common.channel, trusted.name());
        return check.refused("record-other-channel", message, NEXT);
    }
    if known.is_some_and(|known| known.record(record.record_id()).is_some()) {
        return check;
    }
    let in_force = known.map_or(trusted.genesis(), |known| known.state().keys_record());
    if common.keys != Some(in_force) {
        let named =
            common.keys.map_or_else(|| "no keys".to_owned(), |keys| format!("the keys of record {keys}"));
        let message = format!("the record is under {named}, trusted are those of record {in_force}");
        return check.refused("record-other-keys", message, OTHER_KEYS);
    }
    check
}

fn any_channel(record: &SignedRecord) -> Check {
    let why = "no channel was named, so any channel of the trusted keys will do";
    let channel = &record.statement().predicate.common().channel;
    Check::new(CheckName::Channel).detail("channel", channel).not_applicable(why)
}

/// The record names this artifact. A record that names nothing names no artifact.
fn names_artifact(record: &SignedRecord, artifact: &ArtifactDigest) -> Check {
    let statement = record.statement();
    let check = Check::new(CheckName::Artifact);
    // A withdrawal and a review list artifacts, too: as what they speak about, not as what to install.
    if !matches!(statement.predicate, Predicate::Release(..) | Predicate::Rules(..)) {
        let type_name = statement.predicate.type_name();
        let message = format!("the record is of type {type_name} and publishes no artifact");
        return check.refused("record-of-no-artifact", message, FETCH_AGAIN);
    }
    match artifact {
        ArtifactDigest::File(file) => names_file(check, statement, file),
        ArtifactDigest::Directory(tree) => names_bundle(check, statement, tree, FETCH_AGAIN),
        // What is named by its own hash is that file, whatever is in it.
        ArtifactDigest::Archive { file, .. } if subject_of_file(statement, file).is_some() => {
            names_file(check, statement, file)
        }
        ArtifactDigest::Archive { file, tree } => {
            let check = check.detail("sha256", file.sha256).detail("bytes", file.bytes);
            names_bundle(check, statement, tree, OTHER_FOLDER)
        }
    }
}

/// Whether the record inside `proof` says it is of a bundle and not of this file, before anything is verified. Good for
/// deciding what of a file is to be compared with the record, and for nothing else.
pub fn claims_bundle(proof: &LogProof, file: &FileDigest) -> bool {
    let Some(Ok(record)) = proof.extra().map(SignedRecord::parse) else {
        return false;
    };
    let statement = record.statement();
    matches!(statement.predicate, Predicate::Rules(..)) && subject_of_file(statement, file).is_none()
}

fn subject_of_file<'a>(statement: &'a Statement, file: &FileDigest) -> Option<&'a Subject> {
    statement.subject.iter().find(|subject| subject.sha256 == Some(file.sha256))
}

/// The subjects with the digest that the artifact is held to: more than one if it has several names.
pub(super) fn subjects_of<'a>(statement: &'a Statement, artifact: &ArtifactDigest) -> Vec<&'a Subject> {
    let of_file = |file: &FileDigest, subject: &Subject| subject.sha256 == Some(file.sha256);
    let of_tree = |tree: &BundleTree, subject: &Subject| subject.dir_hash1 == Some(tree.dir_hash1());
    let is_named = |subject: &&Subject| match artifact {
        ArtifactDigest::File(file) => of_file(file, subject),
        ArtifactDigest::Directory(tree) => of_tree(tree, subject),
        ArtifactDigest::Archive { file, .. } if subject_of_file(statement, file).is_some() => {
            of_file(file, subject)
        }
        ArtifactDigest::Archive { tree, .. } => of_tree(tree, subject),
    };
    statement.subject.iter().filter(is_named).collect()
}

fn names_file(check: Check, statement: &Statement, file: &FileDigest) -> Check {
    let check = check.detail("sha256", file.sha256).detail("bytes", file.bytes);
    if let Some(subject) = subject_of_file(statement, file) {
        return check.detail("logged as", &subject.name);
    }
    let is_of_files = statement.subject.iter().any(|subject| subject.sha256.is_some());
    let message = match is_of_files {
        true => format!("tampered: no artifact of the record has SHA-256 {}", file.sha256),
        false => "tampered, or not the bundle: the record is of a directory, and this is a file whose name does not end \
                  in .tar, .tar.gz, .tgz or .zip"
            .to_owned(),
    };
    check.refused("artifact-mismatch", message, FETCH_AGAIN)
}

fn names_bundle(check: Check, statement: &Statement, tree: &BundleTree, next: &str) -> Check {
    let (root, dir_hash1) = (tree.root(), tree.dir_hash1());
    let check =
        check.detail("files", tree.files().len()).detail("bundle root", root).detail("dirHash1", dir_hash1);
    let Predicate::Rules(_, rules) = &statement.predicate else {
        let message = "the record is of single files, not of a directory";
        return check.refused("artifact-mismatch", message, FETCH_AGAIN);
    };
    let named = statement.subject.iter().find(|subject| subject.dir_hash1 == Some(dir_hash1));
    match named {
        Some(subject) if rules.bundle.root == root => check.detail("logged as", &subject.name),
        _ => {
            let message =
                format!("tampered: the bundle root is {root}, the record's is {}", rules.bundle.root);
            check.refused("artifact-mismatch", message, next)
        }
    }
}
