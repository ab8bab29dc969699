//! What a check finds, and who hears of it.

use indelible_proto::hash::Hash;
use serde_json::{Map, Value};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Could not be read or judged, so nothing is known.
    Unread,
    /// Not what it must be.
    Damaged,
}

impl Grade {
    /// The grade as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Unread => "unread",
            Self::Damaged => "damaged",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub grade: Grade,
    /// The stable name of this kind of finding.
    pub code: &'static str,
    /// The file, or the path below the log's URL.
    pub place: String,
    /// What is the matter, in words.
    pub what: String,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What to do about it; empty if nothing.
    pub todo: String,
}

impl Finding {
    /// A finding in words alone.
    pub(crate) fn new(
        grade: Grade,
        code: &'static str,
        place: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        let (place, what) = (place.into(), what.into());
        Self { grade, code, place, what, expected: None, found: None, todo: String::new() }
    }

    /// Damage.
    pub(crate) fn damaged(code: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Grade::Damaged, code, place, what)
    }

    /// The same with what should be and what is there.
    pub(crate) fn hashes(self, expected: &Hash, found: &Hash) -> Self {
        Self { expected: Some(expected.to_hex()), found: Some(found.to_hex()), ..self }
    }

    /// The same with what to do about it.
    pub(crate) fn todo(self, todo: impl Into<String>) -> Self {
        Self { todo: todo.into(), ..self }
    }

    /// Lines for people, not escaped.
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{:<8} {}: {} [{}]", self.grade.word(), self.place, self.what, self.code)];
        let details = [("expected", self.expected.as_deref()), ("found", self.found.as_deref())];
        let details = details.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let todo = Some(("do", self.todo.as_str())).filter(|(_, todo)| !todo.is_empty());
        lines.extend(details.chain(todo).map(|(name, value)| format!("         {name}: {value}")));
        lines
    }

    /// The same for programs.
    pub fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let texts = [
            ("grade", Some(self.grade.word())),
            ("code", Some(self.code)),
            ("place", Some(self.place.as_str())),
            ("what", Some(self.what.as_str())),
            ("expected", self.expected.as_deref()),
            ("found", self.found.as_deref()),
            ("do", Some(self.todo.as_str()).filter(|todo| !todo.is_empty())),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                fields.insert(name.to_owned(), text.into());
            }
        }
        fields
    }
}

/// Who hears of everything as it is found, from any thread.
pub trait Listener: Sync {
    /// Something was found.
    fn find(&self, finding: Finding);

    /// How many bundles there are.
    fn begin(&self, _bundles: u64) {}

    /// One more bundle is checked.
    fn advance(&self, _entries: u64, _bytes: u64) {}

    /// Whether the check should end early.
    fn is_stopped(&self) -> bool {
        false
    }
}
