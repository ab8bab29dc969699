//! Bundle proofs: that files are in a bundle, or that a path is not, without the rest of the bundle.
//!
//! ```text
//! indelible-bundle-proof/v1
//! present|absent
//! file <index> <64 hexadecimal digits>  <path>     (one or more, by index)
//!
//! <hash, base64>                                   (none or more: the proof)
//! ```
//!
//! Every line ends in a newline, the last too. `<index>` counts the bundle's lines from 0; indices and paths
//! rise from line to line. The hashes are those of [`super::multiproof`].
//!
//! * `present`: the bundle has each of these files. At most [`MAX_PROOF_FILES`].
//! * `absent`: one line that is the bundle's first or last, or two lines next to each other. The bundle has
//!   no file whose path sorts before its first, after its last, or between the two.
//!
//! Neither the bundle's root nor its size is in the file, nor the path that is absent: whoever verifies has
//! the first two from a signed record, and knows what they ask for.
//!
//! What absence rests on: the bundle's lines are sorted. Whoever has the whole bundle checks that when they
//! compute its root; a proof cannot show it. A path is absent letter by letter: `A` may be absent where `a`
//! is present.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::listing::{BundleLine, LineError, MAX_LINE_BYTES};
use super::multiproof::{self, MAX_PROOF_FILES};
use super::path::{PathError, check_path};
use super::{BundleTree, position_of};
use crate::hash::Hash;
use crate::size::{LeafIndex, TreeSize};
use crate::tree::{InclusionProof, TreeHead};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal};

const FIRST_LINE: &str = "indelible-bundle-proof/v1";
const PRESENT: &str = "present";
const ABSENT: &str = "absent";
const FILE: &str = "file";

/// Most hashes of a proof: for every file one on each of the levels of the largest bundle.
const MAX_HASHES: usize = MAX_PROOF_FILES * (BundleTree::MAX_FILES.ilog2() as usize + 1);

/// What a proof is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleClaim {
    /// The files of its lines are in the bundle.
    Present,
    /// A path beside its lines is not in the bundle.
    Absent,
}

/// Lines of a bundle with what leads from them to its root; nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleProof {
    claim: BundleClaim,
    lines: Vec<(u64, BundleLine)>,
    hashes: Vec<Hash>,
}

/// Files that are in a bundle. Made only by [`BundleProof::verify_present`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InBundle(Vec<BundleLine>);

/// A path that is not in a bundle. Made only by [`BundleProof::verify_absent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInBundle(String);

impl InBundle {
    /// The files, by path.
    pub fn lines(&self) -> &[BundleLine] {
        &self.0
    }

    /// The file with this path.
    pub fn line(&self, path: &str) -> Option<&BundleLine> {
        self.0.iter().find(|line| line.path == path)
    }
}

impl NotInBundle {
    /// The path.
    pub fn path(&self) -> &str {
        &self.0
    }
}

/// Why a bundle proof was refused or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleProofError {
    /// Longer than [`BundleProof::MAX_BYTES`].
    #[error("bundle proof of {got} bytes, at most {} are allowed", BundleProof::MAX_BYTES)]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
    /// A line is missing or is not what its place demands.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What follows an index is no line of a bundle.
    #[error("file line {file}: {error}")]
    Line {
        /// Which of the file lines, counted from 0.
        file: usize,
        /// What is wrong with it.
        error: LineError,
    },
    /// No file, or more than [`MAX_PROOF_FILES`].
    #[error("{got} files, a proof has 1 to {MAX_PROOF_FILES}")]
    FileCount {
        /// How many there are, at least.
        got: usize,
    },
    /// More hashes than any proof has.
    #[error("more than {MAX_HASHES} hashes")]
    TooManyHashes,
    /// Indices or paths that do not rise.
    #[error("indices and paths do not rise from line to line")]
    Order,
    /// Lines that stand for no gap: not one, and not two next to each other.
    #[error("a proof of absence has one line, or two next to each other")]
    NoGap,
    /// A proof of the other claim.
    #[error("the proof is one of presence where absence is asked for, or the reverse")]
    OtherClaim,
    /// The signed size is not that of any bundle.
    #[error("a bundle of {size} files, 1 to {} are allowed", BundleTree::MAX_FILES)]
    BundleSize {
        /// The size given.
        size: TreeSize,
    },
    /// The bundle has no file at the index.
    #[error("a bundle of {size} files has none at index {index}")]
    OutsideBundle {
        /// The index of the proof.
        index: u64,
        /// The bundle's size.
        size: TreeSize,
    },
    /// Not the number of hashes that indices and size ask for.
    #[error("{got} hashes, indices and bundle size ask for {expected}")]
    HashCount {
        /// How many the proof has.
        got: usize,
        /// How many it must have.
        expected: usize,
    },
    /// The lines and hashes do not lead to the root.
    #[error("the proof does not lead to the root of the bundle")]
    RootMismatch,
    /// A path that no bundle can have.
    #[error("path: {0}")]
    Path(#[from] PathError),
    /// The path is not in the gap that the lines leave.
    #[error("the proof is about another place than that of the path")]
    OtherPlace,
    /// The bundle has no such file.
    #[error("the bundle has no such file")]
    NoSuchFile,
    /// The bundle has the file that should be absent.
    #[error("the bundle has that file")]
    IsPresent,
}

impl BundleProofError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "bundle-proof-too-long",
            Self::Decode(error) => error.code(),
            Self::Line { error, .. } => error.code(),
            Self::FileCount { .. } => "bundle-proof-file-count",
            Self::TooManyHashes | Self::HashCount { .. } => "bundle-proof-hash-count",
            Self::Order => "bundle-proof-order",
            Self::NoGap => "bundle-proof-no-gap",
            Self::OtherClaim => "bundle-proof-other-claim",
            Self::BundleSize { .. } => "bundle-file-count",
            Self::OutsideBundle { .. } => "bundle-proof-outside-bundle",
            Self::RootMismatch => "bundle-proof-root-mismatch",
            Self::Path(error) => error.code(),
            Self::OtherPlace => "bundle-proof-other-place",
            Self::NoSuchFile => "bundle-file-missing",
            Self::IsPresent => "bundle-file-present",
        }
    }
}

impl BundleProof {
    /// Largest proof in bytes: [`MAX_PROOF_FILES`] of the longest lines, and all hashes.
    pub const MAX_BYTES: usize = 64 + MAX_PROOF_FILES * (MAX_LINE_BYTES + 32) + MAX_HASHES * 45;

    fn new(
        claim: BundleClaim,
        lines: Vec<(u64, BundleLine)>,
        hashes: Vec<Hash>,
    ) -> Result<Self, BundleProofError> {
        if lines.is_empty() || lines.len() > MAX_PROOF_FILES {
            return Err(BundleProofError::FileCount { got: lines.len() });
        }
        if !lines.is_sorted_by(|(i, a), (j, b)| i < j && a.path.as_bytes() < b.path.as_bytes()) {
            return Err(BundleProofError::Order);
        }
        if claim == BundleClaim::Absent && !is_gap(&lines) {
            return Err(BundleProofError::NoGap);
        }
        Ok(Self { claim, lines, hashes })
    }

    /// Reads a whole proof.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleProofError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(BundleProofError::TooLong { got: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        reader.expect_line(FIRST_LINE)?;
        let claim = match reader.clone().line()? {
            word if word == PRESENT.as_bytes() => BundleClaim::Present,
            word if word == ABSENT.as_bytes() => BundleClaim::Absent,
            _ => return Err(reader.error(DecodeErrorKind::UnexpectedWord).into()),
        };
        reader.line()?;
        let mut lines = Vec::new();
        while !reader.remaining().starts_with(b"\n") {
            if lines.len() == MAX_PROOF_FILES {
                return Err(BundleProofError::FileCount { got: lines.len().saturating_add(1) });
            }
            lines.push(read_file_line(&mut reader, lines.len())?);
        }
        reader.expect_line("")?;
        let mut hashes = Vec::new();
        while !reader.is_empty() {
            if hashes.len() == MAX_HASHES {
                return Err(BundleProofError::TooManyHashes);
            }
            hashes.push(reader.hash_line()?);
        }
        Self::new(claim, lines, hashes)
    }

    /// The proof's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let claim = match self.claim {
            BundleClaim::Present => PRESENT,
            BundleClaim::Absent => ABSENT,
        };
        let mut text = format!("{FIRST_LINE}\n{claim}\n");
        for (index, line) in &self.lines {
            text.push_str(&format!("{FILE} {index} {}\n", line.encode()));
        }
        text.push('\n');
        for hash in &self.hashes {
            text.push_str(&hash.to_base64());
            text.push('\n');
        }
        text.into_bytes()
    }

    /// What the proof is about.
    pub fn claim(&self) -> BundleClaim {
        self.claim
    }

    /// The lines with their places in the bundle, not verified.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &BundleLine)> {
        self.lines.iter().map(|(index, line)| (*index, line))
    }

    /// How many hashes the proof has.
    pub fn hash_count(&self) -> usize {
        self.hashes.len()
    }

    /// Checks that the bundle of `head` has every file of the proof.
    ///
    /// `head` is `bundle.root` and `bundle.files` of a record that is verified.
    pub fn verify_present(&self, head: &TreeHead) -> Result<InBundle, BundleProofError> {
        if self.claim != BundleClaim::Present {
            return Err(BundleProofError::OtherClaim);
        }
        self.verify_lines(head)?;
        Ok(InBundle(self.lines.iter().map(|(_, line)| line.clone()).collect()))
    }

    /// Checks that the bundle of `head` has no file with this path.
    ///
    /// `head` is `bundle.root` and `bundle.files` of a record that is verified.
    pub fn verify_absent(&self, head: &TreeHead, path: &str) -> Result<NotInBundle, BundleProofError> {
        if self.claim != BundleClaim::Absent {
            return Err(BundleProofError::OtherClaim);
        }
        check_path(path)?;
        self.verify_lines(head)?;
        let before = |line: &BundleLine| path.as_bytes() < line.path.as_bytes();
        let after = |line: &BundleLine| path.as_bytes() > line.path.as_bytes();
        let is_last = |index: u64| index.checked_add(1) == Some(head.size.get());
        let in_gap = match self.lines.as_slice() {
            [(index, only)] => (*index == 0 && before(only)) || (is_last(*index) && after(only)),
            [(_, left), (_, right)] => after(left) && before(right),
            _ => false,
        };
        if in_gap { Ok(NotInBundle(path.to_owned())) } else { Err(BundleProofError::OtherPlace) }
    }

    fn verify_lines(&self, head: &TreeHead) -> Result<(), BundleProofError> {
        let leaves: Vec<_> = self.lines.iter().map(|(index, line)| (*index, line.leaf_hash())).collect();
        multiproof::verify(head, &leaves, &self.hashes)?;
        // A proof of one line is the inclusion proof of RFC 6962: our own check has to say the same.
        let [(index, leaf)] = leaves.as_slice() else { return Ok(()) };
        let single = InclusionProof::new(self.hashes.clone());
        let single = single.and_then(|proof| {
            let index = LeafIndex::new(*index).unwrap_or_default();
            proof.verify(leaf, index, head)
        });
        single.map_err(|_| BundleProofError::RootMismatch)
    }
}

impl BundleTree {
    /// The proof that the files with these paths are in the bundle, given in any order; a path named twice
    /// counts once.
    pub fn prove_present(&self, paths: &[&str]) -> Result<BundleProof, BundleProofError> {
        let mut indices = Vec::with_capacity(paths.len());
        for path in paths {
            check_path(path)?;
            indices.push(position_of(self.files(), path).map_err(|_| BundleProofError::NoSuchFile)?);
        }
        indices.sort_unstable();
        indices.dedup();
        self.prove_indices(BundleClaim::Present, &indices)
    }

    /// The proof that no file of the bundle has this path.
    pub fn prove_absent(&self, path: &str) -> Result<BundleProof, BundleProofError> {
        check_path(path)?;
        let Err(gap) = position_of(self.files(), path) else { return Err(BundleProofError::IsPresent) };
        let indices: Vec<usize> = [gap.checked_sub(1), Some(gap)].into_iter().flatten().collect();
        let indices: Vec<usize> = indices.into_iter().filter(|index| *index < self.files().len()).collect();
        self.prove_indices(BundleClaim::Absent, &indices)
    }

    fn prove_indices(&self, claim: BundleClaim, indices: &[usize]) -> Result<BundleProof, BundleProofError> {
        if indices.is_empty() || indices.len() > MAX_PROOF_FILES {
            return Err(BundleProofError::FileCount { got: indices.len() });
        }
        let files = indices.iter().filter_map(|index| Some((*index as u64, self.files().get(*index)?)));
        let lines: Vec<_> = files.map(|(index, file)| (index, BundleLine::from(file))).collect();
        let indices: Vec<u64> = lines.iter().map(|(index, _)| *index).collect();
        let positions = multiproof::positions(&indices, self.size().get());
        let hashes = positions.iter().filter_map(|position| self.node(*position)).collect();
        BundleProof::new(claim, lines, hashes)
    }
}

/// One line, or two with nothing between them.
fn is_gap(lines: &[(u64, BundleLine)]) -> bool {
    match lines {
        [_] => true,
        [(left, _), (right, _)] => left.checked_add(1) == Some(*right),
        _ => false,
    }
}

fn read_file_line(reader: &mut Reader<'_>, file: usize) -> Result<(u64, BundleLine), BundleProofError> {
    let at = reader.position();
    let rest = reader.line_after(FILE)?;
    let space = rest.iter().position(|byte| *byte == b' ');
    let (index, line) = space.and_then(|space| rest.split_at_checked(space)).unwrap_or((rest, b""));
    let index = parse_decimal(index).map_err(|kind| DecodeError { at, kind })?;
    let line = BundleLine::parse(line.get(1..).unwrap_or_default());
    Ok((index, line.map_err(|error| BundleProofError::Line { file, error })?))
}

#[cfg(test)]
mod tests;
