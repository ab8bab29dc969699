//! Whom a record is for, on the command line.

use clap::Args;
use indelible_proto::hash::Hash;
use indelible_proto::record::{Audience, CohortReason};

/// Everybody, or a cohort.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct AudienceArgs {
    /// Publish for a cohort instead of everybody: 64 hexadecimal digits, as they stand under `cohorts` in the
    /// client.toml of its members. Clients that do not have them there refuse such a release or such rules. It hides
    /// nothing: the record is as public as any other
    #[arg(long, value_name = "SHA256", requires = "cohort_reason", value_parser = parse_cohort)]
    cohort: Option<Hash>,
    /// Why it is not for everybody: hotfix, region, licence or beta
    #[arg(long, value_name = "REASON", requires = "cohort", value_parser = parse_reason)]
    cohort_reason: Option<CohortReason>,
}

impl AudienceArgs {
    /// Whom the record is for.
    pub(super) fn audience(&self) -> Audience {
        match self.cohort.zip(self.cohort_reason) {
            Some((cohort, reason)) => Audience::Cohort { cohort, reason },
            None => Audience::Public,
        }
    }
}

fn parse_cohort(text: &str) -> Result<Hash, String> {
    Hash::parse_hex(text).ok_or_else(|| "64 lower-case hexadecimal digits, as sha256sum prints".to_owned())
}

fn parse_reason(text: &str) -> Result<CohortReason, String> {
    CohortReason::parse(text).ok_or_else(|| "hotfix, region, licence or beta".to_owned())
}
