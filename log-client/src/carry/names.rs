//! Which names the files of a carry may have: those of a bundle's paths, and no two that stand in each other's way.

use std::collections::BTreeSet;

use indelible_proto::bundle_tree::{PathError, check_path};

use super::CarryError;
use crate::files::PROOF_EXTENSION;

/// Two names that cannot stand in one directory, the case of ASCII letters aside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} clashes with another artifact or its proof, the case of letters aside")]
pub struct NameClash {
    /// The later of the two.
    pub name: String,
}

/// The names of artifacts, checked one after the other as they come.
#[derive(Debug, Default)]
pub(super) struct Names {
    last: Option<String>,
    taken: BTreeSet<String>,
}

impl Names {
    /// Takes the next artifact's name, and that of the proof beside it.
    pub(super) fn take(&mut self, name: &str) -> Result<(), CarryError> {
        let refused = |error| CarryError::Name { name: name.to_owned(), error };
        check_path(name).map_err(refused)?;
        if name.contains('/') {
            return Err(refused(PathError::Component));
        }
        if self.last.as_deref().is_some_and(|last| last >= name) {
            return Err(CarryError::Order { name: name.to_owned() });
        }
        self.last = Some(name.to_owned());
        for name in [name.to_owned(), format!("{name}.{PROOF_EXTENSION}")] {
            if !self.taken.insert(name.to_ascii_lowercase()) {
                return Err(NameClash { name }.into());
            }
        }
        Ok(())
    }
}

/// The paths of one artifact: its name alone, or paths below a folder of that name in the order of their bytes.
#[derive(Debug)]
pub(super) struct Paths<'a> {
    artifact: &'a str,
    last: Option<String>,
}

impl<'a> Paths<'a> {
    pub(super) fn of(artifact: &'a str) -> Self {
        Self { artifact, last: None }
    }

    /// Takes the next path.
    pub(super) fn take(&mut self, path: &str) -> Result<(), CarryError> {
        let inside = path.strip_prefix(self.artifact).and_then(|rest| rest.strip_prefix('/'));
        let refused = |error| CarryError::Name { name: path.to_owned(), error };
        match (inside, &self.last) {
            (None, _) if path != self.artifact => {
                let (path, artifact) = (path.to_owned(), self.artifact.to_owned());
                return Err(CarryError::Outside { path, artifact });
            }
            // The artifact is one file: nothing may be beside it.
            (None, None) => {}
            (Some(inside), _) => check_path(inside).map_err(refused)?,
            (None, Some(_)) => return Err(CarryError::Order { name: path.to_owned() }),
        }
        if let Some(last) = &self.last
            && (last.as_str() >= path || last == self.artifact)
        {
            return Err(CarryError::Order { name: path.to_owned() });
        }
        self.last = Some(path.to_owned());
        Ok(())
    }
}
