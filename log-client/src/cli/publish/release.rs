//! `indelible publish release`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::record::body::{MAX_PERIOD_S, ReleaseBody, Source};
use indelible_proto::record::{MAX_SUBJECTS, Subject};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::inputs::files_failure;
use super::super::publication::PublicationArgs;
use super::platform::{PlatformArg, platforms};
use super::{RecordArgs, Said, hash, publish};
use crate::files::{artifact_name, proof_path};
use crate::publish::Body;

/// Publish a software release
///
/// Hashes the files, signs one record about all of them, hands it to the log, verifies the proof that comes
/// back, and writes it beside each file as FILE.tlog-proof. Interrupted or out of time, run it again: it
/// goes on with the same record.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible publish release agent-1.2.tar.gz --channel-name vendor.example/agent \\
      --version 1.2 --key publish.key --policy policy.txt
  indelible publish release agent-1.2-x86.tgz agent-1.2-arm.tgz --channel-name vendor.example/agent \\
      --platform agent-1.2-x86.tgz=linux/amd64 --platform agent-1.2-arm.tgz=linux/arm64 \\
      --version 1.2 --key publish.key --policy policy.txt
  indelible publish release agent-1.3-beta.tar.gz --from-file release.toml --version 1.3-beta \\
      --cohort $(printf %s 'name of the cohort' | sha256sum | cut -c -64) --cohort-reason beta
      (docs/config/publish.toml is a sample of release.toml)")]
pub(in crate::cli) struct ReleaseArgs {
    /// Files of the release
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Platform of FILE, or without FILE= of all that no other --platform names: OS/ARCH or OS/ARCH/VARIANT like linux/amd64.
    /// Clients of other platforms refuse the file; one without a platform is for all
    #[arg(long = "platform", value_name = "[FILE=]PLATFORM")]
    platforms: Vec<PlatformArg>,
    /// Package URL of what is released
    #[arg(long, value_name = "PURL")]
    purl: Option<String>,
    /// Where the source is
    #[arg(long, value_name = "URI", requires = "source_commit")]
    source_uri: Option<String>,
    /// Git commit the release was built from
    #[arg(long, value_name = "COMMIT", requires = "source_uri")]
    source_commit: Option<String>,
    /// Bill of materials; its hash goes into the record
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Build provenance; its hash goes into the record
    #[arg(long, value_name = "FILE")]
    provenance: Option<PathBuf>,
    /// Seconds for which the record is fresh
    #[arg(long, value_name = "SECS", default_value_t = 30 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    expires_in: u64,
    /// Version that is published
    #[arg(long, value_name = "V")]
    version: String,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: ReleaseArgs, console: Console) -> Result<Exit, Failure> {
    if args.files.len() > MAX_SUBJECTS {
        let message = format!("{} files, one record names at most {MAX_SUBJECTS}", args.files.len());
        return Err(Failure::usage("too-many-files", message, "publish a directory, or several releases"));
    }
    let platforms = platforms(&args.files, &args.platforms)?;
    let mut subject = Vec::new();
    let mut proofs = Vec::new();
    for (file, platform) in args.files.iter().zip(platforms) {
        let name = artifact_name(file).map_err(|error| files_failure(&error))?;
        subject.push(Subject { platform, ..Subject::of_file(name, hash(file, console)?) });
        proofs.push(proof_path(file).map_err(|error| files_failure(&error))?);
    }
    let digest = |file: Option<PathBuf>| file.map(|file| hash(&file, console)).transpose();
    let source = args.source_uri.zip(args.source_commit);
    let body = ReleaseBody {
        version: args.version,
        purl: args.purl,
        source: source.map(|(uri, git_commit)| Source { uri, git_commit }),
        provenance: digest(args.provenance)?,
        sbom: digest(args.sbom)?,
    };
    publish(
        args.log,
        args.record,
        Said { subject, body: Body::Release(body), lifetime_s: args.expires_in },
        &proofs,
        console,
    )
}
