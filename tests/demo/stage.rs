//! What the audience sees, and the score.

use std::process::ExitCode;
use std::time::Instant;

use indelible_tests::Finished;

/// How much of a command's own words is shown.
const SHOWN_LINES: usize = 3;

/// Prints what happens and counts what held.
#[derive(Debug)]
pub(crate) struct Stage {
    began: Instant,
    held: u32,
    failed: u32,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), held: 0, failed: 0 }
    }

    /// A new part.
    pub(crate) fn act(&mut self, title: &str) {
        println!("\n== {title}");
    }

    /// A plain sentence.
    pub(crate) fn say(&self, text: &str) {
        println!("   {text}");
    }

    /// Something that must hold; `seen` is shown where it does not.
    pub(crate) fn check(&mut self, claim: &str, held: bool, seen: &str) {
        if held {
            self.held += 1;
            println!(" ✔ {claim}");
        } else {
            self.failed += 1;
            println!(" ✘ {claim}\n   but: {}", seen.replace('\n', "\n        "));
        }
    }

    /// A command that must end with `code`; its reason is shown in its own words.
    pub(crate) fn expect(&mut self, claim: &str, finished: &Finished, code: i32) {
        self.check(&format!("{claim} (exit code {code})"), finished.code() == code, &finished.to_string());
        if finished.code() == code {
            let lines = finished.stdout.lines().chain(finished.stderr.lines());
            for line in lines.filter(|line| !line.trim().is_empty()).take(SHOWN_LINES) {
                println!("     | {line}");
            }
        }
    }

    /// Prints the score.
    pub(crate) fn finish(&self) -> ExitCode {
        let seconds = self.began.elapsed().as_secs_f64();
        println!("\n{} held, {} did not; {seconds:.1} s after the build.", self.held, self.failed);
        if self.failed == 0 && self.held > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
