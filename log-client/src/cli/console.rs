//! What the command line prints, for people or, with `--json`, for programs.
//!
//! Everything is escaped on its way out: names and origins come from strangers, and neither a terminal nor
//! a reader may be misled by what is in them. Results go to standard output; failures of a run without
//! `--json` to standard error.

use std::error::Error;
use std::io;

use serde_json::{Map, Value, json};

use super::exit::{Exit, Failure};

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    json: bool,
}

/// The two forms of one result.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    /// Lines for people, not escaped yet.
    pub(super) lines: Vec<String>,
    /// The same for programs.
    pub(super) fields: Map<String, Value>,
}

impl Output {
    /// A result that is one line for people.
    pub(super) fn line(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], fields: Map::new() }
    }

    /// The same with a field for programs.
    #[must_use]
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }
}

impl Console {
    /// A console that prints JSON or text.
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are for programs.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result. JSON also has how the run ends.
    pub(super) fn result(&self, exit: Exit, output: Output) {
        self.report(output.with("outcome", exit.word()).with("exit", exit.code()));
    }

    /// Prints one of several things a run has to say.
    pub(super) fn report(&self, output: Output) {
        if self.json {
            return print_json(io::stdout().lock(), &Value::Object(output.fields));
        }
        for line in &output.lines {
            print(io::stdout().lock(), &escape(line));
        }
    }

    /// Prints why a run ended early.
    pub(super) fn failure(&self, failure: &Failure) {
        let Failure { exit, code, message, next } = failure;
        if self.json {
            let fields = json!({
                "outcome": exit.word(), "exit": exit.code(), "code": code, "message": message, "next": next,
            });
            return print_json(io::stdout().lock(), &fields);
        }
        let mut out = io::stderr().lock();
        print(&mut out, &escape(&format!("{}: {message} [{code}]", exit.word())));
        if !next.is_empty() {
            print(&mut out, &escape(&format!("next: {next}")));
        }
    }

    /// Prints a remark that is no result, to standard error and for people only.
    pub(super) fn remark(&self, line: &str) {
        if !self.json {
            print(io::stderr().lock(), &escape(line));
        }
    }
}

/// An error with everything behind it, each part once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        // Some errors already say what is behind them.
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = error.source();
    }
    text
}

/// `text` as printable ASCII, so that two names that differ look different and none moves the cursor.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => escaped.push(character),
            other => escaped.extend(other.escape_default()),
        }
    }
    escaped
}

/// `value` on one line of printable ASCII. Beyond that there is only what strings hold, and JSON has an
/// escape for all of it.
fn print_json(out: impl io::Write, value: &Value) {
    print(out, &ascii_json(value));
}

fn ascii_json(value: &Value) -> String {
    let text = value.to_string();
    let mut ascii = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => ascii.push(character),
            other => {
                let units = &mut [0; 2];
                ascii.extend(other.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    ascii
}

/// A reader that went away, as of `| head`, is no failure of the run.
fn print(mut out: impl io::Write, line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_printed_apart() {
        // The Kelvin sign, a right-to-left override, a zero-width space, and the two forms of an e acute.
        let escaped = [
            ("\u{212a}elvin", "\\u{212a}elvin"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{200b}", "a\\u{200b}"),
            ("\u{e9}", "\\u{e9}"),
            ("e\u{301}", "e\\u{301}"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\nb", "a\\nb"),
        ];
        for (text, expected) in escaped {
            assert_eq!(escape(text), expected);
        }
        assert_eq!(escape("vendor.example/agent 1.0 (x)"), "vendor.example/agent 1.0 (x)");
    }

    #[test]
    fn json_is_printable_ascii_and_says_the_same() {
        let value = json!({ "a\u{202e}": "\u{9b}2J \u{7f} \u{1f600} \n \" \\ \u{e9}" });
        let text = ascii_json(&value);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
        assert!(text.contains("\\u009b2J \\u007f \\ud83d\\ude00"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn an_error_is_told_to_its_end_and_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("disk full")]
        struct Inner;
        #[derive(Debug, thiserror::Error)]
        enum Outer {
            #[error("cannot write")]
            Short(#[source] Inner),
            #[error("cannot write: {0}")]
            Long(#[source] Inner),
        }
        assert_eq!(chain(&Outer::Short(Inner)), "cannot write: disk full");
        assert_eq!(chain(&Outer::Long(Inner)), "cannot write: disk full");
    }
}
