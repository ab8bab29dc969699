//! `--from-file`: the arguments of a command from a file, like `release.toml` or `create.json`.
//!
//! A key is an argument by its long name; `files`, `dir`, `channel` and `record` are lists or texts like the arguments
//! of that name. An unknown key is refused, and so is one that is there twice. What is on the command line comes first:
//! the file's value of that argument, and of those that exclude it, is left out. Paths are relative to the file. At most
//! 64 KiB. `docs/config/publish.toml` and `docs/config/channel.toml` are samples.
//!
//! The file becomes arguments before anything is parsed, so there is one place that knows what is required and what
//! excludes what.

use std::any::TypeId;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use indelible_proto::note::VerifierKey;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::exit::Failure;
use super::inputs::read_input;

/// Largest file read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The argument that names the file, and the one that is the program's.
const NOT_IN_A_FILE: [&str; 2] = ["from_file", "json"];

/// The arguments `given`, and after them those of the file that `--from-file` names, if the command has one. `program`
/// is the whole command line.
pub(super) fn expand(program: &Command, given: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let mut program = program.clone().ignore_errors(true);
    program.build();
    let Ok(matches) = program.clone().try_get_matches_from(&given) else {
        // Help, or nothing that can be read: the real parse says so.
        return Ok(given);
    };
    let (mut command, mut matches) = (&program, &matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { return Ok(given) };
        (command, matches) = (found, inner);
    }
    let Some(file) = matches.try_get_one::<PathBuf>("from_file").ok().flatten() else {
        return Ok(given);
    };
    let mut arguments = given;
    let mut positional = Vec::new();
    for (key, item) in read(file)?.0 {
        let argument = argument(command, &key).ok_or_else(|| unknown(file, command, &key))?;
        if is_given(matches, argument) || excluded(command, matches, argument) {
            continue;
        }
        let values = values(file, argument, &key, item)?;
        match argument.get_long() {
            Some(long) => arguments.extend(values.into_iter().map(|value| option(long, value))),
            None => positional.extend(values.into_iter().flatten()),
        }
    }
    if !positional.is_empty() {
        arguments.push("--".into());
        arguments.extend(positional);
    }
    Ok(arguments)
}

/// The argument a key names: by its long name, or one without a name by its own.
fn argument<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| {
        let name = argument.get_long().unwrap_or(argument.get_id().as_str());
        name == key && !NOT_IN_A_FILE.contains(&argument.get_id().as_str()) && !is_help(argument)
    })
}

fn is_help(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong)
}

fn is_given(matches: &ArgMatches, argument: &Arg) -> bool {
    matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// Whether something on the command line says otherwise.
fn excluded(command: &Command, matches: &ArgMatches, argument: &Arg) -> bool {
    let says = |other: &Arg| is_given(matches, other);
    command.get_arg_conflicts_with(argument).into_iter().any(says)
        || command.get_arguments().any(|other| {
            says(other)
                && command.get_arg_conflicts_with(other).iter().any(|it| it.get_id() == argument.get_id())
        })
}

/// What a key's value is on the command line: one for each time that the argument is given, without one for a flag.
fn values(file: &Path, argument: &Arg, key: &str, item: Item) -> Result<Vec<Option<OsString>>, Failure> {
    let wrong = |must| {
        let message = format!("{}: {key} must be {must}", file.display());
        Err(Failure::usage("from-file-value", message, "correct the file; in doubt, see --help"))
    };
    let many = matches!(argument.get_action(), ArgAction::Append)
        || argument.get_num_args().is_some_and(|n| n.max_values() > 1);
    let texts = match (argument.get_action(), item) {
        (ArgAction::SetTrue, Item::Flag(true)) => return Ok(vec![None]),
        (ArgAction::SetTrue, Item::Flag(false)) => return Ok(Vec::new()),
        (ArgAction::SetTrue, _) => return wrong("true or false"),
        (_, Item::Flag(_)) => return wrong("a text or a number"),
        (_, Item::Text(text)) => vec![text],
        (_, Item::Number(number)) => vec![number.to_string()],
        (_, Item::List(texts)) if many => texts,
        (_, Item::List(_)) => return wrong("one value, not a list"),
    };
    let base = file.parent().unwrap_or(Path::new(""));
    Ok(texts.into_iter().map(|text| Some(value(base, argument, text))).collect())
}

/// A path from `base`; anything else as it is.
fn value(base: &Path, argument: &Arg, text: String) -> OsString {
    let path = base.join(&text);
    let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    // Some take a file or what is in it. A file whose path spells a key must not stand in for it.
    let may_be_path = argument.get_value_hint() == ValueHint::FilePath && VerifierKey::parse(&text).is_err();
    if is_path || may_be_path && path.exists() { path.into_os_string() } else { text.into() }
}

fn option(long: &str, value: Option<OsString>) -> OsString {
    let mut option = OsString::from(format!("--{long}"));
    if let Some(value) = value {
        option.push("=");
        option.push(value);
    }
    option
}

fn unknown(file: &Path, command: &Command, key: &str) -> Failure {
    // "indelible publish rules", as its usage has it.
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let message = format!("{}: {key:?} is no argument of {name}", file.display());
    Failure::usage("from-file-key", message, "keys are the long names of arguments, see --help")
}

/// The keys of a file, by name.
struct Keys(Vec<(String, Item)>);

/// What a key can have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a text in quotes, a whole number, true, false or a list of texts, and no table: keys are the long names of arguments"
)]
enum Item {
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
}

fn read(file: &Path) -> Result<Keys, Failure> {
    const NEXT: &str = "correct the file; docs/config/publish.toml and channel.toml there are samples";
    let bytes = read_input(file, MAX_BYTES, "a command's arguments", NEXT)?;
    let wrong = |why: &dyn fmt::Display| {
        Failure::usage("from-file-parse", format!("{}: {why}", file.display()), NEXT)
    };
    if file.extension().is_some_and(|ending| ending == "json") {
        return serde_json::from_slice(&bytes).map_err(|error| wrong(&error));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| wrong(&error))?;
    toml::from_str(text).map_err(|error| wrong(&error))
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Keys;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("arguments by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::<(String, Item)>::new();
                while let Some((key, item)) = map.next_entry::<String, Item>()? {
                    if keys.iter().any(|(known, _)| *known == key) {
                        return Err(serde::de::Error::custom(format!("{key:?} is there twice")));
                    }
                    keys.push((key, item));
                }
                keys.sort_by(|(one, _), (other, _)| one.cmp(other));
                Ok(Keys(keys))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests;
