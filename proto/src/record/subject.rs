//! The subjects of a statement, `docs/records.md`, section 3: which artifacts a record is about.

use alloc::string::String;
use alloc::vec::Vec;

use super::channel_name::ChannelName;
use super::fields::{Field, FieldError, StatementError};
use super::json::{ObjectBuilder, Value};
use super::platform::Platform;
use crate::hash::{Hash, sha256};

/// The most subjects of one record; more do not fit its 16 KiB.
pub const MAX_SUBJECTS: usize = 128;
/// The longest subject or owner name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// An artifact: its name, one or both digests, and what it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Printable ASCII, 1 to 255 bytes. A label for people; nothing is looked up by it.
    pub name: String,
    /// SHA-256 of a file.
    pub sha256: Option<Hash>,
    /// SHA-256 over the listing of a file tree, see [`crate::bundle_tree`].
    pub dir_hash1: Option<Hash>,
    /// What it is for; `None` is every platform. Only in a record that publishes the artifact.
    pub platform: Option<Platform>,
}

impl Subject {
    /// A file, for every platform.
    pub fn of_file(name: impl Into<String>, sha256: Hash) -> Self {
        Self { name: name.into(), sha256: Some(sha256), dir_hash1: None, platform: None }
    }

    /// A file tree, for every platform.
    pub fn of_tree(name: impl Into<String>, dir_hash1: Hash) -> Self {
        Self { name: name.into(), sha256: None, dir_hash1: Some(dir_hash1), platform: None }
    }

    /// The one subject of a channel record: the channel's name and the SHA-256 of that name.
    pub fn of_channel(channel: &ChannelName) -> Self {
        let name = channel.as_str();
        Self::of_file(name, sha256(name.as_bytes()))
    }

    /// The same artifact, for this platform only.
    #[must_use]
    pub fn on(self, platform: Platform) -> Self {
        Self { platform: Some(platform), ..self }
    }

    pub(super) fn to_value(&self) -> Value {
        let digest = ObjectBuilder::new()
            .with_some("sha256", self.sha256.map(Hash::to_hex))
            .with_some("dirHash1", self.dir_hash1.map(Hash::to_hex));
        let platform = self.platform.as_ref();
        let annotations = platform.map(|platform| ObjectBuilder::new().with("platform", platform.as_str()));
        ObjectBuilder::new()
            .with("name", self.name.as_str())
            .with("digest", digest.build())
            .with_some("annotations", annotations.map(ObjectBuilder::build))
            .build()
    }

    pub(super) fn read_all(field: Field<'_>) -> Result<Vec<Self>, StatementError> {
        let subjects = field.array("subject[]", MAX_SUBJECTS)?;
        let subjects = subjects.into_iter().map(Self::read).collect::<Result<Vec<_>, _>>()?;
        if !subjects.is_sorted_by(|earlier, later| earlier.name < later.name) {
            return Err(FieldError::Order.at("subject"));
        }
        Ok(subjects)
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let name = fields.required("subject[].name")?.text(MAX_NAME_BYTES)?;
        let mut digest = fields.required("subject[].digest")?.object()?;
        let platform = fields.optional("subject[].annotations").map(read_annotations).transpose()?;
        fields.finish()?;
        let sha256 = digest.optional("subject[].digest.sha256").map(|field| field.hash()).transpose()?;
        let dir_hash1 = digest.optional("subject[].digest.dirHash1").map(|field| field.hash()).transpose()?;
        digest.finish()?;
        if sha256.is_none() && dir_hash1.is_none() {
            return Err(FieldError::Missing.at("subject[].digest"));
        }
        Ok(Self { name, sha256, dir_hash1, platform })
    }
}

/// What in-toto leaves to whoever writes a subject. Here it has one field, and is not there without it.
fn read_annotations(field: Field<'_>) -> Result<Platform, StatementError> {
    let mut fields = field.object()?;
    let platform = fields.required("subject[].annotations.platform")?;
    let parsed =
        Platform::parse(platform.str()?).map_err(|error| platform.error(FieldError::Platform(error)))?;
    fields.finish()?;
    Ok(parsed)
}
