//! Is this meant for this client: audience, platform and engine.

use std::cmp::Ordering;

use indelible_proto::record::{Audience, Platform, Predicate, SignedRecord, Subject};

use super::content::subjects_of;
use super::rules::version_order;
use super::{Check, CheckName, Request};

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

/// The artifact runs on this client's platform. Of a file with several names, one that is for it is enough.
pub(super) fn platform(request: &Request<'_>, record: &SignedRecord) -> Check {
    let statement = record.statement();
    let subjects = subjects_of(statement, request.artifact);
    if subjects.is_empty() {
        return Check::not_run(CheckName::Platform, CheckName::Artifact);
    }
    let check = Check::new(CheckName::Platform);
    let Some(wanted) = subjects.iter().map(|subject| subject.platform.as_ref()).collect::<Option<Vec<_>>>()
    else {
        return check.not_applicable("the record names no platform for the artifact");
    };
    let names = wanted.iter().map(|platform| platform.as_str()).collect::<Vec<_>>().join(", ");
    let Some(ours) = &request.rules.platform else {
        return check.detail("wanted", names).not_applicable("the client names no platform");
    };
    let check = check.detail("platform", ours).detail("wanted", &names);
    let fits = |wanted: &Platform| wanted.includes(ours);
    if wanted.into_iter().any(fits) {
        return check;
    }
    let fitting = |subject: &&Subject| subject.platform.as_ref().is_some_and(fits);
    let next = match statement.subject.iter().find(fitting) {
        Some(subject) => format!("fetch {}, which the record has for this platform", subject.name),
        None => "the record has nothing for this platform: ask the vendor, or correct the platform that this client names"
            .to_owned(),
    };
    let message = format!("not for me: the artifact is for platform {names}, this is {ours}");
    check.refused("platform-other", message, next)
}

/// The engine this client runs can load the rules.
pub(super) fn engine(request: &Request<'_>, record: &SignedRecord) -> Check {
    let check = Check::new(CheckName::Engine);
    let Predicate::Rules(_, rules) = &record.statement().predicate else {
        return check.not_applicable("only rules name an engine");
    };
    let Some(wanted) = &rules.engine else {
        return check.not_applicable("the record names no engine");
    };
    let range = format!(
        "{} {} to {}",
        wanted.name,
        wanted.min.as_deref().unwrap_or("any"),
        wanted.max.as_deref().unwrap_or("any")
    );
    let Some(ours) = &request.rules.engine else {
        return check.detail("wanted", range).not_applicable("the client names no engine");
    };
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
