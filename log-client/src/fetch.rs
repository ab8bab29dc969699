//! Reading what a log, a mirror or a witness publishes: over HTTP, from a directory laid out by
//! c2sp.org/tlog-tiles, or from a single file that holds a signed note.
//!
//! Nothing here is believed: whoever fetches checks what came against something signed. What this module
//! does promise is that a read ends (the HTTP client's deadline), that it never holds more than the caller's
//! limit, that it follows no redirect, and that it never leaves the directory it was given by its path.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::durable;
use crate::http::{FetchError, HttpClient};

/// Path of the newest checkpoint below the base of a log or a mirror.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// Why something could not be read. None of these says anything about the log's honesty.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The text names neither an `http(s)` URL nor an existing file or directory.
    #[error("{text:?} is not an http or https URL, and no file or directory has this name")]
    NoSource {
        /// What was given.
        text: String,
    },
    /// The source says that it does not have this.
    #[error("{from} has no {path}")]
    NotFound {
        /// The source asked.
        from: String,
        /// The path below it.
        path: String,
    },
    /// No usable answer came over the network.
    #[error("cannot get {path} from {from}")]
    Network {
        /// The source asked.
        from: String,
        /// The path below it.
        path: String,
        /// How the exchange went.
        source: FetchError,
    },
    /// The local file cannot be read.
    #[error("cannot get {path} from {from}")]
    File {
        /// The source asked.
        from: String,
        /// The path below it.
        path: String,
        /// Why the file cannot be read.
        source: durable::DurableError,
    },
    /// A web page came instead of data: the error page of a proxy, or the wrong URL.
    #[error("{from} answered {path} with a web page, not with log data")]
    WebPage {
        /// The source asked.
        from: String,
        /// The path below it.
        path: String,
    },
}

impl SourceError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSource { .. } => "no-such-source",
            Self::NotFound { .. } => "not-found",
            Self::Network { source, .. } => source.code(),
            Self::File { source, .. } => source.code(),
            Self::WebPage { .. } => "web-page",
        }
    }

    /// Whether the source answered that it does not have this, as opposed to not answering.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// A place to read published log data from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source(Arc<Place>);

#[derive(Debug)]
enum Place {
    Http { base: String, client: HttpClient },
    Directory(PathBuf),
    Note(PathBuf),
}

impl Source {
    /// The source a person names: an `http://` or `https://` base URL, a directory, or a file with one note.
    ///
    /// # Errors
    /// [`SourceError::NoSource`].
    pub fn parse(text: &str, client: &HttpClient) -> Result<Self, SourceError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::http(text, client));
        }
        let path = Path::new(text);
        match path.metadata() {
            Ok(found) if found.is_dir() => Ok(Self::directory(path)),
            Ok(found) if found.is_file() => Ok(Self::note(path)),
            _ => Err(SourceError::NoSource { text: text.to_owned() }),
        }
    }

    /// Published data below a base URL; slashes at its end make no difference.
    pub fn http(base: &str, client: &HttpClient) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self(Arc::new(Place::Http { base, client: client.clone() }))
    }

    /// Published data in a local directory.
    pub fn directory(path: &Path) -> Self {
        Self(Arc::new(Place::Directory(path.to_owned())))
    }

    /// One signed note in a file: it answers for [`CHECKPOINT_PATH`] and has nothing else.
    pub fn note(path: &Path) -> Self {
        Self(Arc::new(Place::Note(path.to_owned())))
    }

    /// Whether this source can have tiles and entry bundles, not only a note.
    pub fn may_have_tiles(&self) -> bool {
        !matches!(*self.0, Place::Note(_))
    }

    /// What is at `path` (relative, its parts separated by `/`), at most `max_bytes` of it.
    ///
    /// # Errors
    /// Every [`SourceError`] but `NoSource` and `WebPage`; more than `max_bytes` bytes are
    /// [`SourceError::Network`] or [`SourceError::File`].
    pub async fn get(&self, path: &str, max_bytes: usize) -> Result<Vec<u8>, SourceError> {
        match &*self.0 {
            Place::Http { base, client } => {
                let answer = client.get_limited(&format!("{base}/{path}"), max_bytes).await;
                answer.map_err(|source| match source.status() {
                    Some(404 | 410) => self.not_found(path),
                    _ => SourceError::Network { from: self.to_string(), path: path.to_owned(), source },
                })
            }
            Place::Directory(root) => {
                let file = below(root, path).ok_or_else(|| self.not_found(path))?;
                self.read(file, path, max_bytes).await
            }
            Place::Note(file) if path == CHECKPOINT_PATH => self.read(file.clone(), path, max_bytes).await,
            Place::Note(_) => Err(self.not_found(path)),
        }
    }

    /// The error to report for bytes that are not what was asked for, if they are a web page.
    ///
    /// Only for bytes that failed to parse: an entry bundle may well start like one.
    pub fn web_page(&self, path: &str, bytes: &[u8]) -> Option<SourceError> {
        is_web_page(bytes).then(|| SourceError::WebPage { from: self.to_string(), path: path.to_owned() })
    }

    async fn read(&self, file: PathBuf, path: &str, max_bytes: usize) -> Result<Vec<u8>, SourceError> {
        // A pipe or a device could block or never end.
        let reading = tokio::task::spawn_blocking(move || {
            if !file.is_file() {
                return Ok(None);
            }
            durable::read(&file, max_bytes)
        });
        match reading.await.expect("invariant: reading a file does not panic and is not aborted") {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(self.not_found(path)),
            Err(source) => Err(SourceError::File { from: self.to_string(), path: path.to_owned(), source }),
        }
    }

    fn not_found(&self, path: &str) -> SourceError {
        SourceError::NotFound { from: self.to_string(), path: path.to_owned() }
    }
}

/// The URL or path, as it was given but for slashes at the end of a URL.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Place::Http { base, .. } => f.write_str(base),
            Place::Directory(path) | Place::Note(path) => path.display().fmt(f),
        }
    }
}

/// Whether these bytes, which are not what was asked for, are a web page: how a network asks to sign in, or a proxy
/// says that there is nobody behind it. Whose server it is says nothing about the log.
pub fn is_web_page(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
    PAGE_OPENINGS
        .iter()
        .any(|opening| start.get(..opening.len()).is_some_and(|start| start.eq_ignore_ascii_case(opening)))
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const PAGE_OPENINGS: [&[u8]; 5] = [b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--"];

/// `path` below `root`, if its parts are plain names.
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    relative.components().all(|part| matches!(part, Component::Normal(_))).then(|| root.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> HttpClient {
        HttpClient::new(crate::http::Timeouts::default()).unwrap()
    }

    #[tokio::test]
    async fn a_directory_answers_by_path_and_never_leaves_itself() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("log/tile/0")).unwrap();
        std::fs::write(dir.path().join("log/tile/0/000"), b"abc").unwrap();
        std::fs::write(dir.path().join("secret"), b"x").unwrap();
        let source = Source::parse(dir.path().join("log").to_str().unwrap(), &client()).unwrap();
        assert_eq!(source.get("tile/0/000", 3).await.unwrap(), b"abc");
        assert_eq!(source.get("tile/0/000", 2).await.unwrap_err().code(), "file-too-large");
        for path in ["tile/0/001", "../secret", "/etc/passwd", "tile/../../secret", "tile", ""] {
            assert!(source.get(path, 100).await.unwrap_err().is_not_found(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_note_file_has_a_checkpoint_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seen.note");
        std::fs::write(&file, b"note").unwrap();
        let source = Source::parse(file.to_str().unwrap(), &client()).unwrap();
        assert_eq!(source.get(CHECKPOINT_PATH, 10).await.unwrap(), b"note");
        assert!(source.get("tile/0/000", 10).await.unwrap_err().is_not_found());
        assert!(!source.may_have_tiles());
    }

    #[test]
    fn refuses_a_name_that_leads_nowhere() {
        for text in ["/nonexistent/log", "ftp://log.example", "file:///etc/passwd", ""] {
            assert_eq!(Source::parse(text, &client()).unwrap_err().code(), "no-such-source", "{text}");
        }
    }

    #[test]
    fn a_web_page_is_known_by_its_start() {
        let source = Source::http("http://log.example/", &client());
        assert_eq!(source.to_string(), "http://log.example");
        for page in [
            "<!DOCTYPE html><p>",
            "\r\n <HTML lang=en>",
            "\u{feff}<html>",
            "<?xml version=\"1.0\"?>\n<!DOCTYPE html>",
            "<!-- sign in -->\n<html>",
            "<head><title>Sign in</title>",
        ] {
            assert_eq!(source.web_page("p", page.as_bytes()).unwrap().code(), "web-page", "{page}");
        }
        for other in ["example.com/log\n1\n", "", "<", "<!doctype", "not found", "{}"] {
            assert!(source.web_page("p", other.as_bytes()).is_none(), "{other}");
        }
    }
}
