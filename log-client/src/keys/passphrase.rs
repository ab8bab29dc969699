//! Where a passphrase comes from: a file that only its owner can read, or somebody at a terminal.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyFileError;
use crate::durable;

/// Longest passphrase in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// Where to get the passphrase of an encrypted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passphrase {
    /// From the first and only line of this file.
    File(PathBuf),
    /// From whoever sits at the terminal.
    Ask,
}

impl From<Option<PathBuf>> for Passphrase {
    fn from(file: Option<PathBuf>) -> Self {
        file.map_or(Self::Ask, Self::File)
    }
}

impl Passphrase {
    /// The passphrase of the key at `key`.
    ///
    /// # Errors
    /// [`KeyFileError::File`], also if others may read the file; [`KeyFileError::Passphrase`] if it is empty or of more
    /// than one line, or there is no terminal to ask at.
    pub fn get(&self, key: &Path) -> Result<Zeroizing<String>, KeyFileError> {
        match self {
            Self::File(path) => read(path),
            Self::Ask => ask(&format!("Passphrase of {}: ", key.display()), key),
        }
    }

    /// A passphrase for a new key at `key`; whoever sits at the terminal has to say it twice.
    ///
    /// # Errors
    /// As [`Self::get`], and if the two differ.
    pub fn choose(&self, key: &Path) -> Result<Zeroizing<String>, KeyFileError> {
        let first = self.get(key)?;
        if *self == Self::Ask && ask("The same again: ", key)? != first {
            return Err(KeyFileError::Passphrase { of: key.to_owned(), why: "the two are not the same" });
        }
        Ok(first)
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let bad = |why| KeyFileError::Passphrase { of: path.to_owned(), why };
    let bytes = durable::read_secret(path, MAX_PASSPHRASE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is not UTF-8"))?;
    let line = super::one_line(text);
    match line {
        "" => Err(bad("it is empty")),
        _ if line.contains(['\n', '\r', '\0']) => Err(bad("it is not one line")),
        _ => Ok(Zeroizing::new(line.to_owned())),
    }
}

fn ask(prompt: &str, key: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let bad = |why| KeyFileError::Passphrase { of: key.to_owned(), why };
    // Not a script that happens to have been started at a terminal.
    if !std::io::stderr().is_terminal() {
        return Err(bad("there is no terminal to ask at"));
    }
    let line = rpassword::prompt_password(prompt).map(Zeroizing::new);
    let line = line.map_err(|_| bad("the terminal gave none"))?;
    if line.is_empty() { Err(bad("it is empty")) } else { Ok(line) }
}
