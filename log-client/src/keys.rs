//! Key files: making a key pair, and reading keys back.
//!
//! A key is two files: the secret key text, mode 0600, and beside it `<file>.vkey` with the verifier key
//! that is given to others. Both hold one line. Existing files are never overwritten: a lost secret key
//! cannot be made again. A secret key that signs records may be encrypted under a passphrase, see [`encrypted`].
//! Keys are Ed25519 keys; those of logs and witnesses may be ML-DSA-44 keys instead ([`KeyAlgorithm`]).

pub mod encrypted;
mod passphrase;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indelible_proto::note::{KeyError, KeyKind, KeyName, VerifierKey};
use indelible_proto::sign::{RecordSigner, SecretKey};
use zeroize::Zeroizing;

pub use passphrase::{MAX_PASSPHRASE_BYTES, Passphrase};

use crate::durable::{self, Access, DurableError};

/// Why a key could not be made, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The system has no randomness to give.
    #[error("no random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// A key file cannot be written or read.
    #[error(transparent)]
    File(#[from] DurableError),
    /// There is no file of that name, nor is the name a verifier key.
    #[error("{0:?} is neither a verifier key nor a file that holds one")]
    Missing(String),
    /// There is no passphrase to use.
    #[error("no passphrase for {}: {why}", of.display())]
    Passphrase {
        /// The encrypted key, or the file with the passphrase.
        of: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// An encrypted key cannot be opened.
    #[error("{} cannot be opened: {source}", path.display())]
    Encrypted {
        /// The key's file.
        path: PathBuf,
        /// Why not.
        source: encrypted::OpenError,
    },
    /// What was read is no key, or one made for something else.
    #[error("{from}: not a usable key")]
    Key {
        /// The text or the file it came from.
        from: String,
        /// What is wrong with it.
        source: KeyError,
    },
}

impl KeyFileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Random(_) => "no-randomness",
            Self::File(source) => source.code(),
            Self::Missing(_) => "key-missing",
            Self::Passphrase { .. } => "no-passphrase",
            Self::Encrypted { source, .. } => source.code(),
            Self::Key { source, .. } => source.code(),
        }
    }
}

/// What a new key signs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    /// Small keys and signatures, read by every client
    #[default]
    Ed25519,
    /// Safe from quantum computers; 2,420 bytes a signature
    #[value(name = "ml-dsa-44")]
    MlDsa44,
}

/// A new secret key from the system's randomness.
///
/// # Errors
/// [`KeyFileError::Random`]; [`KeyFileError::Key`] for a record key that is to be an ML-DSA-44 key, and for a name
/// too long for one.
pub fn generate(kind: KeyKind, algorithm: KeyAlgorithm, name: KeyName) -> Result<SecretKey, KeyFileError> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(KeyFileError::Random)?;
    let made = match (algorithm, kind) {
        (KeyAlgorithm::Ed25519, _) => return Ok(SecretKey::from_seed(kind, name, *seed)),
        (KeyAlgorithm::MlDsa44, KeyKind::Log | KeyKind::Cosigner) => {
            SecretKey::ml_dsa_from_seed(name.clone(), *seed)
        }
        (KeyAlgorithm::MlDsa44, KeyKind::Record) => Err(KeyError::NoMlDsaRecordKey),
    };
    made.map_err(|source| KeyFileError::Key { from: name.to_string(), source })
}

/// Writes `secret` to `path`, mode 0600, and its verifier key to `<path>.vkey`, which it returns the path
/// of. Neither file may exist.
///
/// # Errors
/// [`KeyFileError::File`]; nothing is written if either file exists.
pub fn write_pair(path: &Path, secret: &SecretKey) -> Result<PathBuf, KeyFileError> {
    let text = Zeroizing::new([secret.encode().as_bytes(), b"\n"].concat());
    write_files(path, secret, &text)
}

/// [`write_pair`], with the secret key encrypted under `passphrase`.
///
/// # Errors
/// As [`write_pair`], and [`KeyFileError::Random`].
pub fn write_encrypted_pair(
    path: &Path,
    secret: &SecretKey,
    passphrase: &str,
) -> Result<PathBuf, KeyFileError> {
    let mut salt = [0u8; 32];
    getrandom::fill(&mut salt).map_err(KeyFileError::Random)?;
    let (line, work) = (secret.encode(), encrypted::Work::USUAL);
    let text = encrypted::seal(line.as_bytes(), passphrase.as_bytes(), &salt, work)
        .ok_or(KeyFileError::Encrypted { path: path.to_owned(), source: encrypted::OpenError::Form })?;
    write_files(path, secret, text.as_bytes())
}

fn write_files(path: &Path, secret: &SecretKey, text: &[u8]) -> Result<PathBuf, KeyFileError> {
    let vkey_path = vkey_path(path);
    // Looked at first, so that a leftover public key does not cost a fresh secret one.
    if vkey_path.symlink_metadata().is_ok() {
        return Err(DurableError::Exists { path: vkey_path }.into());
    }
    durable::create_new(path, text, Access::Secret)?;
    let vkey = format!("{}\n", secret.verifier());
    durable::create_new(&vkey_path, vkey.as_bytes(), Access::Public)?;
    Ok(vkey_path)
}

/// Replaces the file at `path`, or makes it; for what a command writes where its user says.
///
/// # Errors
/// As [`durable::replace`], and [`DurableError::Exists`] if the file that is there has a secret key.
pub fn replace_unless_key(path: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    // What is too large for a key, or can't be read, is none that this program made.
    let there = durable::read(path, encrypted::MAX_BYTES).ok().flatten().map(Zeroizing::new);
    if there.is_some_and(|there| is_secret_key(&there)) {
        return Err(DurableError::Exists { path: path.to_owned() });
    }
    durable::replace(path, bytes)
}

fn is_secret_key(bytes: &[u8]) -> bool {
    let is_plain = |text| SecretKey::parse(one_line(text)).is_ok();
    encrypted::is_encrypted(bytes) || std::str::from_utf8(bytes).is_ok_and(is_plain)
}

/// The signer of records whose secret key is in the file at `path`.
///
/// # Errors
/// [`KeyFileError::File`], also if others may read the file; [`KeyFileError::Key`] for a key of another
/// kind; for one that is encrypted [`KeyFileError::Passphrase`] or [`KeyFileError::Encrypted`].
pub fn read_record_signer(path: &Path, passphrase: &Passphrase) -> Result<RecordSigner, KeyFileError> {
    let mut bytes = durable::read_secret(path, encrypted::MAX_BYTES)?;
    if encrypted::is_encrypted(&bytes) {
        let passphrase = passphrase.get(path)?;
        bytes = encrypted::open(&bytes, passphrase.as_bytes())
            .map_err(|source| KeyFileError::Encrypted { path: path.to_owned(), source })?;
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::Form);
    text.and_then(|text| SecretKey::parse(one_line(text)))
        .and_then(RecordSigner::new)
        .map_err(|source| KeyFileError::Key { from: path.display().to_string(), source })
}

/// The verifier key of a signer of records, given as its text or as the path of a file that holds it.
///
/// # Errors
/// As [`parse_vkey`], and [`KeyFileError::Key`] for a key of another kind.
pub fn parse_record_vkey(argument: &str) -> Result<VerifierKey, KeyFileError> {
    let key = parse_vkey(argument)?;
    if key.kind() == KeyKind::Record {
        return Ok(key);
    }
    let source = KeyError::WrongKind { expected: KeyKind::Record, got: key.kind() };
    Err(KeyFileError::Key { from: argument.to_owned(), source })
}

/// A verifier key of any kind, given as its text or as the path of a file that holds it.
///
/// # Errors
/// [`KeyFileError::File`], [`KeyFileError::Missing`] or [`KeyFileError::Key`].
pub fn parse_vkey(argument: &str) -> Result<VerifierKey, KeyFileError> {
    // The text first: a file whose path spells a key must not speak in its name.
    let text = VerifierKey::parse(argument);
    if let Ok(key) = text {
        return Ok(key);
    }
    let not_a_key = |source| KeyFileError::Key { from: argument.to_owned(), source };
    if let Some(bytes) = durable::read(Path::new(argument), MAX_KEY_FILE_BYTES)? {
        let text = std::str::from_utf8(&bytes).map_err(|_| not_a_key(KeyError::Form))?;
        return VerifierKey::parse(one_line(text)).map_err(not_a_key);
    }
    // One word without a plus sign was meant as a path.
    if !argument.contains('+') {
        return Err(KeyFileError::Missing(argument.to_owned()));
    }
    text.map_err(not_a_key)
}

/// Where the verifier key of the secret key at `path` is.
pub fn vkey_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".vkey");
    PathBuf::from(name)
}

fn one_line(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// A key line is a name and a few dozen bytes of base64.
const MAX_KEY_FILE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use indelible_proto::sign::Signer as _;
    use std::os::unix::fs::PermissionsExt;

    fn key(kind: KeyKind) -> SecretKey {
        generate(kind, KeyAlgorithm::Ed25519, KeyName::parse("vendor.example/publish").unwrap()).unwrap()
    }

    #[test]
    fn no_secret_key_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, sealed) = (dir.path().join("plain.key"), dir.path().join("sealed.key"));
        write_pair(&plain, &key(KeyKind::Record)).unwrap();
        write_encrypted_pair(&sealed, &key(KeyKind::Record), "open sesame").unwrap();
        for path in [&plain, &sealed] {
            let before = std::fs::read(path).unwrap();
            let error = replace_unless_key(path, b"a record").unwrap_err();
            assert!(matches!(error, DurableError::Exists { .. }), "{error}");
            assert_eq!(std::fs::read(path).unwrap(), before);
        }
        let other = dir.path().join("leaf");
        for content in [&b"one"[..], b"another", &[0; 8 * MAX_KEY_FILE_BYTES], b"the last"] {
            replace_unless_key(&other, content).unwrap();
            assert_eq!(std::fs::read(&other).unwrap(), content);
        }
    }

    #[test]
    fn a_pair_is_read_back_and_the_secret_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("publish.key");
        let secret = key(KeyKind::Record);
        let vkey = write_pair(&path, &secret).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_record_signer(&path, &Passphrase::Ask).unwrap().verifier(), secret.verifier());
        assert_eq!(&parse_record_vkey(vkey.to_str().unwrap()).unwrap(), secret.verifier());
        assert_eq!(&parse_record_vkey(&secret.verifier().to_string()).unwrap(), secret.verifier());
    }

    #[test]
    fn never_overwrites_either_file() {
        for taken in ["k", "k.vkey"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(taken), "old").unwrap();
            let error = write_pair(&dir.path().join("k"), &key(KeyKind::Log)).unwrap_err();
            assert_eq!(error.code(), "file-exists");
            assert_eq!(std::fs::read(dir.path().join(taken)).unwrap(), b"old");
            assert_eq!(dir.path().read_dir().unwrap().count(), 1, "{taken}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for kind in [KeyKind::Log, KeyKind::Cosigner] {
            let path = dir.path().join(kind.to_string());
            let vkey = write_pair(&path, &key(kind)).unwrap();
            assert_eq!(read_record_signer(&path, &Passphrase::Ask).unwrap_err().code(), "key-wrong-kind");
            assert_eq!(parse_record_vkey(vkey.to_str().unwrap()).unwrap_err().code(), "key-wrong-kind");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        write_pair(&path, &key(KeyKind::Record)).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert_eq!(read_record_signer(&path, &Passphrase::Ask).unwrap_err().code(), "key-exposed");
    }

    #[test]
    fn a_file_whose_path_spells_a_key_does_not_stand_in_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let name = KeyName::parse(dir.path().join("publish").to_str().unwrap()).unwrap();
        let trusted = generate(KeyKind::Record, KeyAlgorithm::Ed25519, name).unwrap();
        let vkey = trusted.verifier().to_string();
        let spelled = Path::new(&vkey);
        std::fs::create_dir_all(spelled.parent().unwrap()).unwrap();
        std::fs::write(spelled, format!("{}\n", key(KeyKind::Record).verifier())).unwrap();
        assert_eq!(&parse_record_vkey(&vkey).unwrap(), trusted.verifier());
    }

    #[test]
    fn says_whether_a_text_was_meant_as_a_key_or_as_a_file() {
        assert_eq!(parse_vkey("publish.vkey").unwrap_err().code(), "key-missing");
        let altered = key(KeyKind::Record).verifier().to_string().replace("vendor", "other");
        assert_eq!(parse_vkey(&altered).unwrap_err().code(), "key-id-mismatch");
    }

    #[test]
    fn an_encrypted_key_is_read_with_the_passphrase_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, words) = (dir.path().join("k"), dir.path().join("words"));
        let secret = key(KeyKind::Record);
        write_encrypted_pair(&path, &secret, "open sesame").unwrap();
        let code = |text: &[u8], mode: u32| {
            std::fs::write(&words, text).unwrap();
            std::fs::set_permissions(&words, PermissionsExt::from_mode(mode)).unwrap();
            read_record_signer(&path, &Passphrase::File(words.clone())).map_or_else(
                |error| error.code(),
                |signer| {
                    assert_eq!(signer.verifier(), secret.verifier());
                    "read"
                },
            )
        };
        assert_eq!((code(b"open sesame", 0o600), code(b"open sesame\n", 0o400)), ("read", "read"));
        assert_eq!(code(b"open sesame", 0o640), "key-exposed");
        assert_eq!(code(b"open", 0o600), "passphrase-wrong");
        for bad in ["", "\n", "open sesame\n\n", "open\nsesame"] {
            assert_eq!(code(bad.as_bytes(), 0o600), "no-passphrase", "{bad:?}");
        }
        assert_eq!(code(b"\xff", 0o600), "no-passphrase");
        assert_eq!(code(&[b'x'; MAX_PASSPHRASE_BYTES + 1], 0o600), "file-too-large");
        // Nobody sits at a terminal here.
        assert_eq!(read_record_signer(&path, &Passphrase::Ask).unwrap_err().code(), "no-passphrase");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(code(b"open sesame", 0o600), "key-exposed");
    }
}
