//! Is this meant for this client: audience and engine.

use std::cmp::Ordering;

use indelible_proto::record::{Audience, Predicate, SignedRecord};

use super::rules::version_order;
use super::{Check, CheckName, Finding, Request};

/// The record is for everybody, or for a cohort this client is in.
pub(super) fn audience(request: &Request<'_>, record: &SignedRecord) -> Check {
    let check = Check::new(CheckName::Audience);
    match record.statement().predicate.common().audience {
        Audience::Public => check.detail("audience", "public"),
        Audience::Cohort { cohort, reason } => {
            let check = check.detail("cohort", cohort).detail("reason", reason.as_str());
            if request.rules.cohorts.contains(&cohort) {
                return check;
            }
            let message = format!(
                "not for me: the record is for cohort {cohort} ({}), which is not configured",
                reason.as_str()
            );
            check.refused("audience-other", message, "fetch the version for everybody from the vendor")
        }
    }
}

/// The engine this client runs can load the rules.
pub(super) fn engine(request: &Request<'_>, record: &SignedRecord) -> Check {
    let check = Check::new(CheckName::Engine);
    let not_applicable =
        |why| Check { finding: Finding::NotApplicable { why }, ..Check::new(CheckName::Engine) };
    let Predicate::Rules(_, rules) = &record.statement().predicate else {
        return not_applicable("only rules name an engine");
    };
    let Some(wanted) = &rules.engine else {
        return not_applicable("the record names no engine");
    };
    let Some(ours) = &request.rules.engine else {
        return not_applicable("the client names no engine");
    };
    let range = format!(
        "{} {} to {}",
        wanted.name,
        wanted.min.as_deref().unwrap_or("any"),
        wanted.max.as_deref().unwrap_or("any")
    );
    let check = check.detail("engine", format!("{} {}", ours.name, ours.version)).detail("wanted", &range);
    let below = |min: &String| version_order(&ours.version, min) == Ordering::Less;
    let above = |max: &String| version_order(&ours.version, max) == Ordering::Greater;
    let fits = wanted.name == ours.name
        && !wanted.min.as_ref().is_some_and(below)
        && !wanted.max.as_ref().is_some_and(above);
    if fits {
        return check;
    }
    let message =
        format!("not for me: the rules are for engine {range}, this is {} {}", ours.name, ours.version);
    check.refused("engine-other", message, "fetch the rules for this engine, or update the engine")
}
