//! Reading a carry as a stream, strictly: what the writer would not write is refused.

use std::io::{self, BufRead, Read};

use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::channel_file::ChannelFile;
use indelible_proto::hash::Hash;
use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote};
use indelible_proto::proof::LogProof;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::{ConsistencyError, ConsistencyProof, MAX_PROOF_HASHES, TreeHead};
use indelible_proto::wire::{DecodeErrorKind, parse_decimal, parse_hash, parse_utf8};
use sha2::{Digest as _, Sha256};

use super::names::{Names, Paths};
use super::{
    CarryError, HEADER, MAX_ARTIFACTS, MAX_CHANNEL_BYTES, MAX_CHANNEL_FILES, MAX_LINE_BYTES, Manifest,
};
use crate::durable::DurableError;

/// An artifact of a carry, apart from its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name, and that of the file or folder with its content.
    pub name: String,
    /// The proof that came with it.
    pub proof: LogProof,
}

/// A carry whose artifacts have not been read yet.
#[derive(Debug)]
pub struct CarryReader<R> {
    input: Hashed<R>,
}

impl<R: BufRead> CarryReader<R> {
    /// Reads everything before the artifacts.
    ///
    /// # Errors
    /// Any [`CarryError`] of what was read.
    pub fn open(input: R) -> Result<(Manifest, Self), CarryError> {
        let mut input = Hashed { input, hasher: Sha256::new(), at: 0 };
        match input.line() {
            Ok(line) if line == HEADER.as_bytes() => {}
            Err(error @ CarryError::Read(_)) => return Err(error),
            Ok(_) | Err(_) => return Err(CarryError::NotOne),
        }
        let since = input.tree_head()?;
        let proof = input.proof()?;
        let note = SignedNote::parse(&input.section("checkpoint", MAX_NOTE_BYTES as u64)?)?;
        let count = input.count("channel-files", MAX_CHANNEL_FILES)?;
        let (mut channel_files, mut left) = (Vec::<ChannelFile>::new(), MAX_CHANNEL_BYTES);
        for position in 0..count {
            let max = left.min(ChannelFile::MAX_BYTES as u64);
            let bytes = input.section("channel-file", max)?;
            left = left.saturating_sub(bytes.len() as u64);
            let file = ChannelFile::parse(&bytes);
            let file = file.map_err(|error| CarryError::ChannelFile { position, error })?;
            if channel_files.last().is_some_and(|last| last.channel() > file.channel()) {
                return Err(CarryError::Order { name: file.channel().to_string() });
            }
            channel_files.push(file);
        }
        Ok((Manifest { since, proof, note, channel_files }, Self { input }))
    }

    /// Reads the artifacts and the end. `unpack` is given each file's path and content, proofs excepted, and has
    /// to read the content to its end; every path is safe to use below a directory, and none comes twice.
    ///
    /// # Errors
    /// As [`Self::open`], and [`CarryError::Unpack`].
    pub fn unpack(
        self,
        unpack: &mut impl FnMut(&str, &mut dyn Read) -> Result<(), DurableError>,
    ) -> Result<Vec<Carried>, CarryError> {
        let mut input = self.input;
        let (mut names, mut artifacts) = (Names::default(), Vec::new());
        for _ in 0..input.count("artifacts", MAX_ARTIFACTS)? {
            let name = input.text_after("artifact")?;
            names.take(&name)?;
            let proof = LogProof::parse(&input.section("proof", LogProof::MAX_BYTES as u64)?);
            let proof = proof.map_err(|error| CarryError::Proof { name: name.clone(), error })?;
            let count = input.count("files", BundleTree::MAX_FILES as u64)?;
            if count == 0 {
                return Err(CarryError::NoFiles { name });
            }
            let mut paths = Paths::of(&name);
            for _ in 0..count {
                input.file(&mut paths, unpack)?;
            }
            artifacts.push(Carried { name, proof });
        }
        input.end()?;
        Ok(artifacts)
    }
}

/// A stream whose bytes are hashed and counted as they are read.
#[derive(Debug)]
struct Hashed<R> {
    input: R,
    hasher: Sha256,
    at: u64,
}

impl<R: BufRead> Hashed<R> {
    fn file(
        &mut self,
        paths: &mut Paths<'_>,
        unpack: &mut impl FnMut(&str, &mut dyn Read) -> Result<(), DurableError>,
    ) -> Result<(), CarryError> {
        let at = self.at;
        let text = self.text_after("file")?;
        let unexpected = CarryError::Layout { at, kind: DecodeErrorKind::UnexpectedWord };
        let (length, path) = text.split_once(' ').ok_or(unexpected)?;
        let length = parse_decimal(length.as_bytes()).map_err(|kind| CarryError::Layout { at, kind })?;
        paths.take(path)?;
        let mut content = Content { input: self, left: length, failed: None };
        let written = unpack(path, &mut content);
        let Content { left, failed, .. } = content;
        // What could not be read is why it could not be written.
        if let Some(error) = failed {
            return Err(CarryError::Read(error));
        }
        written?;
        match left {
            0 => Ok(()),
            left => Err(self.truncated(left)),
        }
    }

    fn end(mut self) -> Result<(), CarryError> {
        let digest = Hash::from_bytes(self.hasher.clone().finalize().into());
        let line = self.text_after("end")?;
        if !self.input.fill_buf().map_err(CarryError::Read)?.is_empty() {
            return Err(CarryError::Layout {
                at: self.at,
                kind: DecodeErrorKind::TrailingBytes { extra: 1 },
            });
        }
        if Hash::parse_hex(&line) != Some(digest) {
            return Err(CarryError::Damaged);
        }
        Ok(())
    }

    fn tree_head(&mut self) -> Result<TreeHead, CarryError> {
        let at = self.at;
        let text = self.text_after("since")?;
        let layout = |kind| CarryError::Layout { at, kind };
        let (size, root) = text.split_once(' ').ok_or(layout(DecodeErrorKind::UnexpectedWord))?;
        let size = parse_decimal(size.as_bytes()).map_err(layout)?;
        let size = TreeSize::new(size).map_err(|_| layout(DecodeErrorKind::Decimal))?;
        let head = TreeHead { size, root: parse_hash(root.as_bytes()).map_err(layout)? };
        if head.is_possible() { Ok(head) } else { Err(ConsistencyError::EmptyRoot.into()) }
    }

    /// Hashes, one on a line, and the empty line after them.
    fn proof(&mut self) -> Result<ConsistencyProof, CarryError> {
        let mut hashes = Vec::new();
        loop {
            let at = self.at;
            let line = self.line()?;
            if line.is_empty() {
                return Ok(ConsistencyProof::new(hashes)?);
            }
            if hashes.len() == MAX_PROOF_HASHES {
                return Err(ConsistencyError::TooLong { got: MAX_PROOF_HASHES + 1 }.into());
            }
            hashes.push(parse_hash(&line).map_err(|kind| CarryError::Layout { at, kind })?);
        }
    }

    /// A line with a word and a length, and so many bytes.
    fn section(&mut self, word: &'static str, max: u64) -> Result<Vec<u8>, CarryError> {
        let at = self.at;
        let length = self.number_after(word)?;
        if length > max {
            let clip = |number| usize::try_from(number).unwrap_or(usize::MAX);
            let kind = DecodeErrorKind::TooLong { got: clip(length), max: clip(max) };
            return Err(CarryError::Layout { at, kind });
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes).map_err(CarryError::Read)?;
        self.took(&bytes);
        match length.saturating_sub(bytes.len() as u64) {
            0 => Ok(bytes),
            missing => Err(self.truncated(missing)),
        }
    }

    fn count(&mut self, what: &'static str, max: u64) -> Result<u64, CarryError> {
        match self.number_after(what)? {
            got if got > max => Err(CarryError::Count { what, got, max }),
            count => Ok(count),
        }
    }

    fn number_after(&mut self, word: &str) -> Result<u64, CarryError> {
        let at = self.at;
        let text = self.text_after(word)?;
        parse_decimal(text.as_bytes()).map_err(|kind| CarryError::Layout { at, kind })
    }

    fn text_after(&mut self, word: &str) -> Result<String, CarryError> {
        let at = self.at;
        let line = self.line()?;
        let layout = |kind| CarryError::Layout { at, kind };
        let rest = line.strip_prefix(word.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
        let rest = rest.ok_or(layout(DecodeErrorKind::UnexpectedWord))?;
        parse_utf8(rest).map(str::to_owned).map_err(layout)
    }

    /// The next line without its newline.
    fn line(&mut self) -> Result<Vec<u8>, CarryError> {
        let at = self.at;
        let mut line = Vec::new();
        (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(CarryError::Read)?;
        self.took(&line);
        match line.pop() {
            Some(b'\n') => Ok(line),
            _ => Err(CarryError::Layout { at, kind: DecodeErrorKind::UnterminatedLine }),
        }
    }

    fn took(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.at = self.at.saturating_add(bytes.len() as u64);
    }

    fn truncated(&self, missing: u64) -> CarryError {
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        CarryError::Layout { at: self.at, kind: DecodeErrorKind::Truncated { missing } }
    }
}

/// The content of one file.
struct Content<'a, R> {
    input: &'a mut Hashed<R>,
    left: u64,
    failed: Option<io::Error>,
}

impl<R: BufRead> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most) else { return Ok(0) };
        let count = match self.input.input.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                return Err(kind.into());
            }
        };
        self.input.took(buffer.get(..count).unwrap_or_default());
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
