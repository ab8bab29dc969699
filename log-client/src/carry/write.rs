//! Writing a carry as a stream.

use std::io::{self, Read, Write};

use indelible_proto::channel_file::ChannelFile;
use indelible_proto::hash::Hash;
use indelible_proto::proof::LogProof;
use sha2::{Digest as _, Sha256};

use super::names::{Names, Paths};
use super::{CarryError, HEADER, MAX_ARTIFACTS, MAX_CHANNEL_BYTES, MAX_CHANNEL_FILES, Manifest};
use crate::files::{FileDigest, hash_stream};

/// Writes a carry, part by part; what a reader would refuse is refused here too.
#[derive(Debug)]
pub struct CarryWriter<W> {
    output: HashedWrite<W>,
    names: Names,
}

impl<W: Write> CarryWriter<W> {
    /// Writes everything before the artifacts.
    ///
    /// # Errors
    /// [`CarryError::Count`] for more channel files or artifacts than fit; [`CarryError::NotWritten`], as of every
    /// method here.
    pub fn start(output: W, manifest: &Manifest, artifacts: u64) -> Result<Self, CarryError> {
        let Manifest { since, proof, note, channel_files } = manifest;
        let bytes: u64 = channel_files.iter().map(|file| file.encode().len() as u64).sum();
        check("channel-files", channel_files.len() as u64, MAX_CHANNEL_FILES)?;
        check("bytes of channel files", bytes, MAX_CHANNEL_BYTES)?;
        check("artifacts", artifacts, MAX_ARTIFACTS)?;
        let mut output = HashedWrite { output, hasher: Sha256::new() };
        let mut text = format!("{HEADER}\nsince {} {}\n", since.size, since.root.to_base64());
        for hash in proof.hashes() {
            text.push_str(&format!("{}\n", hash.to_base64()));
        }
        output.put(format!("{text}\n"))?;
        output.section("checkpoint", &note.encode())?;
        output.put(format!("channel-files {}\n", channel_files.len()))?;
        for bytes in channel_files.iter().map(ChannelFile::encode) {
            output.section("channel-file", &bytes)?;
        }
        output.put(format!("artifacts {artifacts}\n"))?;
        Ok(Self { output, names: Names::default() })
    }

    /// Writes the next artifact, whose files follow: their paths and lengths, and their content from `open`, by
    /// place. Gives the digest of what was written for each.
    ///
    /// # Errors
    /// [`CarryError::Name`] and its like for names that a carry cannot have, [`CarryError::NotCopied`].
    pub fn artifact<F: Read>(
        &mut self,
        name: &str,
        proof: &LogProof,
        files: &[(String, u64)],
        open: &mut impl FnMut(usize) -> io::Result<F>,
    ) -> Result<Vec<FileDigest>, CarryError> {
        self.names.take(name)?;
        self.output.put(format!("artifact {name}\n"))?;
        self.output.section("proof", &proof.encode())?;
        self.output.put(format!("files {}\n", files.len()))?;
        let (mut paths, mut digests) = (Paths::of(name), Vec::new());
        for (at, (path, bytes)) in files.iter().enumerate() {
            paths.take(path)?;
            self.output.put(format!("file {bytes} {path}\n"))?;
            // A byte more than was announced shows that the file has grown.
            let not_copied = |source| CarryError::NotCopied { path: path.clone(), source };
            let content = open(at).map_err(not_copied)?.take(bytes.saturating_add(1));
            let mut content = Tee { content, output: &mut self.output };
            digests.push(hash_stream(&mut content, &mut |_| {}).map_err(not_copied)?);
        }
        Ok(digests)
    }

    /// Writes the end, and gives back what was written to.
    ///
    /// # Errors
    /// [`CarryError::NotWritten`].
    pub fn finish(mut self) -> Result<W, CarryError> {
        let digest = Hash::from_bytes(self.output.hasher.clone().finalize().into());
        self.output.put(format!("end {}\n", digest.to_hex()))?;
        self.output.output.flush().map_err(CarryError::NotWritten)?;
        Ok(self.output.output)
    }
}

fn check(what: &'static str, got: u64, max: u64) -> Result<(), CarryError> {
    if got > max { Err(CarryError::Count { what, got, max }) } else { Ok(()) }
}

#[derive(Debug)]
struct HashedWrite<W> {
    output: W,
    hasher: Sha256,
}

impl<W: Write> HashedWrite<W> {
    fn put(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), CarryError> {
        self.put_all(bytes.as_ref()).map_err(CarryError::NotWritten)
    }

    fn put_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.output.write_all(bytes)
    }

    fn section(&mut self, word: &str, bytes: &[u8]) -> Result<(), CarryError> {
        self.put(format!("{word} {}\n", bytes.len()))?;
        self.put(bytes)
    }
}

/// Content that is written out as it is read.
struct Tee<'a, R, W> {
    content: R,
    output: &'a mut HashedWrite<W>,
}

impl<R: Read, W: Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.output.put_all(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}
