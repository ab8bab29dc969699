//! Errors for people.

use std::error::Error;
use std::fmt;

/// An error and its causes in one line, a cause that was already told left out.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let told = error.to_string();
            if !text.contains(&told) {
                text.push_str(": ");
                text.push_str(&told);
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Cause;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot write")]
        Silent(#[source] Cause),
        #[error("cannot write, {0}")]
        Telling(#[source] Cause),
    }

    #[test]
    fn every_cause_is_told_once() {
        assert_eq!(Chain(&Outer::Silent(Cause)).to_string(), "cannot write: the disk is full");
        assert_eq!(Chain(&Outer::Telling(Cause)).to_string(), "cannot write, the disk is full");
    }
}
