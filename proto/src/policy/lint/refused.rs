//! A policy that the parser refuses: every line it would refuse, and why the rule is there.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{LintFinding, Severity, numbered_items};
use crate::note::VerifierKey;
use crate::policy::PolicyFileErrorKind as Kind;
use crate::policy::{Policy, PolicyFileError};

/// What some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// After so many refused lines nobody reads on.
const MAX_REFUSED: usize = 64;

/// Explains `error`, and what the parser would refuse in the lines after it.
pub(super) fn explain(file: &[u8], error: PolicyFileError, findings: &mut Vec<LintFinding>) {
    let mut rest = file.to_vec();
    let mut error = error;
    for _ in 0..MAX_REFUSED {
        let is_first = rest.len() == file.len() && rest == file;
        // Names that were defined in a line left out are not defined any more: that says nothing new.
        let follows = matches!(error.kind, Kind::UndefinedName | Kind::NoQuorum);
        if is_first || !follows {
            findings.push(finding(file, error));
        }
        let is_whole_file = matches!(error.kind, Kind::TooLong { .. } | Kind::NoQuorum);
        if is_whole_file || !leave_out(&mut rest, error.line) {
            return;
        }
        match Policy::parse(&rest) {
            Ok(_) => return,
            Err(next) => error = next,
        }
    }
}

/// Empties the line; `false` if there is nothing in it.
fn leave_out(file: &mut Vec<u8>, line: usize) -> bool {
    let mut lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    match lines.get_mut(line.saturating_sub(1)) {
        Some(text) if !text.is_empty() => *text = b"",
        _ => return false,
    }
    *file = lines.join(&b'\n');
    true
}

fn finding(file: &[u8], PolicyFileError { line, kind }: PolicyFileError) -> LintFinding {
    let (why, next) = match file.starts_with(BYTE_ORDER_MARK) && line == 1 {
        true => {
            ("a policy is the same bytes for everyone", "save the file as UTF-8 without a byte order mark")
        }
        false => advice(&kind),
    };
    let message = match kind {
        Kind::DuplicateWitness | Kind::DuplicateLog => with_first_line(file, line, &kind),
        kind => kind.to_string(),
    };
    LintFinding { severity: Severity::Error, code: kind.code(), line, message, why, next }
}

/// Says where the same public key stands for the first time.
fn with_first_line(file: &[u8], line: usize, kind: &Kind) -> String {
    let key_of = |items: &[&[u8]]| {
        let text = match items {
            [b"witness", _, key, ..] | [b"log", key, ..] => core::str::from_utf8(key).ok()?,
            _ => return None,
        };
        Some((items.first().copied()?.to_vec(), VerifierKey::parse(text).ok()?.public_key_bytes().to_vec()))
    };
    let keys: Vec<_> = numbered_items(file).map(|(line, items)| (line, key_of(&items))).collect();
    let same = keys.iter().find(|(at, _)| *at == line).and_then(|(_, key)| key.clone());
    let first = keys.iter().find(|(at, key)| *at < line && key.is_some() && *key == same);
    first.map_or_else(
        || kind.to_string(),
        |(at, _)| format!("{kind} as in line {at}, maybe under another name"),
    )
}

/// Why the parser refuses such a line, and what to do about it.
fn advice(kind: &Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::TooLong { .. } | Kind::TooManyItems => (
            "every reader of policies has limits, and this one names its own",
            "leave out what the quorum does not need",
        ),
        Kind::UnterminatedLine => {
            ("a file that was cut off looks the same", "end the last line with a newline")
        }
        Kind::ControlCharacter => (
            "only tab and newline are allowed: others hide what a line says, and CR LF ends lines nowhere else",
            "remove it; save the file with Unix line ends",
        ),
        Kind::UnknownKeyword => (
            "a line that is not understood may be one that matters",
            "start the line with log, witness, group, quorum or #",
        ),
        Kind::ItemCount => (
            "a line with too few or too many items can be read in two ways; a comment stands on a line of its own",
            "write: log VKEY [URL], witness NAME VKEY [URL], group NAME K MEMBER..., quorum NAME",
        ),
        Kind::Key(_) | Kind::KeyNotUtf8 | Kind::Origin(_) => (
            "nothing such a key signs could be believed",
            "copy the key again from who holds it, a log's to a log line and a witness's to a witness line",
        ),
        Kind::DuplicateLog => {
            ("one key under two origins could say two things", "leave one of the two lines out")
        }
        Kind::DuplicateWitness => (
            "one witness would count twice, and the quorum would be smaller than it looks",
            "leave one of the two lines out",
        ),
        Kind::DuplicateName => (
            "the quorum could mean either of the two",
            "give each witness and group a name of its own; none is taken",
        ),
        Kind::Threshold { .. } => (
            "a threshold of 0 is met by nobody at all, and one above the members by nobody ever",
            "write all, any, or a number from 1 to the number of members",
        ),
        Kind::EmptyGroup => {
            ("some readers take all of no members as met", "name the members, or remove the group")
        }
        Kind::NoneAsMember => (
            "a member that is always met lowers the threshold unseen",
            "leave none out, and the threshold one lower if that is meant",
        ),
        Kind::UndefinedName => (
            "names are defined before they are used, so that no group can contain itself",
            "define the name in a line before this one",
        ),
        Kind::RepeatedMember => (
            "a witness that stands in the rule twice would count twice",
            "name each witness and group as a member once",
        ),
        Kind::SecondQuorum => ("some readers take the last one, some the first", "leave one quorum line"),
        Kind::NoQuorum => (
            "without one nobody knows how many witnesses are enough; there is no default",
            "add a line: quorum NAME",
        ),
    }
}
