//! The two files that carry a watch over a restart.
//!
//! `held`, what was checked:
//!
//! ```text
//! indelible-watch-held/v1
//! <origin>
//! records|raw
//! checkpoint <length in bytes>       0 if there is none yet
//! <signed note>size <entries>
//! <node hash, base64>                one line a subtree, largest first
//! pending log|witness|elsewhere              these three for each, at most a few
//! label <length in bytes>
//! <label>note <length in bytes>
//! <signed note>channel <length in bytes>
//! <channel state>                    one for each channel, see `ChannelState`
//! end <SHA-256 of everything before this line, hex>      see [`crate::seal`]
//! ```
//!
//! `ahead`, how far an unfinished reading has come: the same with the header `indelible-watch-ahead/v1`, the
//! line `base <entries>` in place of the checkpoint, only the channels that changed, and nothing pending.
//!
//! The held note must verify and its root be the one of the subtrees, or the file is damaged.

use std::collections::BTreeMap;

use indelible_proto::checkpoint::Origin;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, Policy};
use indelible_proto::record::{ChannelName, ChannelState};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::Frontier;
use indelible_proto::wire::{DecodeError, Reader, parse_decimal, parse_hash, parse_utf8};

use super::event::{Held, Pending, Role, Vantage};
use super::scan::{Ahead, LogKind, Scan};
use crate::seal::{sealed, unsealed};

/// Why a file is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldError {
    /// It is damaged: the stable name of what is wrong.
    Damaged(&'static str),
    /// It is of a log of another kind.
    OtherKind,
}

/// Which log a file must be about, and how to check its notes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) origin: &'a Origin,
    pub(super) kind: LogKind,
    pub(super) policy: &'a Policy,
}

impl Subject<'_> {
    /// The bytes of `held`.
    pub(super) fn encode_held(&self, held: &Held) -> Vec<u8> {
        let mut out = self.header(HELD_HEADER);
        let note = held.checkpoint.as_ref().map(|signed| signed.note().encode()).unwrap_or_default();
        counted(&mut out, "checkpoint", &note);
        frontier(&mut out, &held.scan.frontier);
        for Pending { from, seen } in &held.pending {
            line(&mut out, &format!("pending {}", role_word(from.role)));
            counted(&mut out, "label", from.label.as_bytes());
            counted(&mut out, "note", &seen.note().encode());
        }
        channels(&mut out, &held.scan.channels);
        sealed(out)
    }

    /// The bytes of `ahead`, which continues the held scan of `base` entries.
    pub(super) fn encode_ahead(&self, ahead: &Ahead, base: TreeSize) -> Vec<u8> {
        let mut out = self.header(AHEAD_HEADER);
        line(&mut out, &format!("base {base}"));
        frontier(&mut out, &ahead.frontier);
        channels(&mut out, &ahead.channels);
        sealed(out)
    }

    /// Reads `held`.
    pub(super) fn parse_held(&self, bytes: &[u8]) -> Result<Held, HeldError> {
        let mut reader = self.open(bytes, HELD_HEADER)?;
        let note = read_counted(&mut reader, "checkpoint")?;
        let checkpoint = if note.is_empty() { None } else { Some(self.verify(note)?) };
        let frontier = read_frontier(&mut reader)?;
        let mut pending = Vec::new();
        while starts_with(&reader, "pending") {
            let role = match reader.line_after("pending").map_err(code)? {
                b"log" => Role::Log,
                b"witness" => Role::Witness,
                b"elsewhere" => Role::Elsewhere,
                _ => return Err(HeldError::Damaged("unknown-role")),
            };
            let label = parse_utf8(read_counted(&mut reader, "label")?)
                .map_err(|kind| HeldError::Damaged(kind.code()))?
                .to_owned();
            let seen = self.verify(read_counted(&mut reader, "note")?)?;
            pending.push(Pending { from: Vantage { role, label }, seen });
        }
        let channels = read_channels(&mut reader)?;
        reader.finish().map_err(code)?;
        let head = checkpoint.as_ref().map(LogSigned::head).unwrap_or_else(|| Frontier::new().head());
        if frontier.head() != head {
            return Err(HeldError::Damaged("root-mismatch"));
        }
        Ok(Held { checkpoint, scan: Scan { frontier, channels }, pending })
    }

    /// Reads `ahead`, and the size of the scan it continues.
    pub(super) fn parse_ahead(&self, bytes: &[u8]) -> Result<(Ahead, TreeSize), HeldError> {
        let mut reader = self.open(bytes, AHEAD_HEADER)?;
        let base = read_size(&mut reader, "base")?;
        let ahead = Ahead { frontier: read_frontier(&mut reader)?, channels: read_channels(&mut reader)? };
        reader.finish().map_err(code)?;
        Ok((ahead, base))
    }

    fn header(&self, header: &str) -> Vec<u8> {
        let kind = match self.kind {
            LogKind::Records => RECORDS,
            LogKind::Raw => RAW,
        };
        format!("{header}\n{}\n{kind}\n", self.origin).into_bytes()
    }

    /// Checks the last line and the first three; returns a reader over what is between.
    fn open<'a>(&self, bytes: &'a [u8], header: &str) -> Result<Reader<'a>, HeldError> {
        let mut reader = Reader::new(unsealed(bytes).map_err(HeldError::Damaged)?);
        reader.expect_line(header).map_err(code)?;
        if reader.line().map_err(code)? != self.origin.as_str().as_bytes() {
            return Err(HeldError::Damaged("other-origin"));
        }
        let kind = match reader.line().map_err(code)? {
            word if word == RECORDS.as_bytes() => LogKind::Records,
            word if word == RAW.as_bytes() => LogKind::Raw,
            _ => return Err(HeldError::Damaged("unknown-kind")),
        };
        if kind == self.kind { Ok(reader) } else { Err(HeldError::OtherKind) }
    }

    fn verify(&self, note: &[u8]) -> Result<LogSigned, HeldError> {
        let note = SignedNote::parse(note).map_err(|error| HeldError::Damaged(error.code()))?;
        let signed = self.policy.verify_log_signature(&note);
        let signed = signed.map_err(|error| HeldError::Damaged(error.code()))?;
        if signed.checkpoint().origin() == self.origin {
            Ok(signed)
        } else {
            Err(HeldError::Damaged("other-origin"))
        }
    }
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

fn counted(out: &mut Vec<u8>, word: &str, bytes: &[u8]) {
    line(out, &format!("{word} {}", bytes.len()));
    out.extend_from_slice(bytes);
}

fn frontier(out: &mut Vec<u8>, frontier: &Frontier) {
    line(out, &format!("size {}", frontier.size()));
    for node in frontier.nodes() {
        line(out, &node.to_base64());
    }
}

fn channels(out: &mut Vec<u8>, channels: &BTreeMap<ChannelName, ChannelState>) {
    for state in channels.values() {
        counted(out, "channel", state.encode().as_bytes());
    }
}

fn code(error: DecodeError) -> HeldError {
    HeldError::Damaged(error.code())
}

fn starts_with(reader: &Reader<'_>, word: &str) -> bool {
    reader.remaining().starts_with(word.as_bytes())
}

fn read_number(reader: &mut Reader<'_>, word: &str) -> Result<u64, HeldError> {
    let number = parse_decimal(reader.line_after(word).map_err(code)?);
    number.map_err(|kind| HeldError::Damaged(kind.code()))
}

fn read_size(reader: &mut Reader<'_>, word: &str) -> Result<TreeSize, HeldError> {
    TreeSize::new(read_number(reader, word)?).map_err(|error| HeldError::Damaged(error.code()))
}

fn read_counted<'a>(reader: &mut Reader<'a>, word: &str) -> Result<&'a [u8], HeldError> {
    let len = read_number(reader, word)?;
    let len = usize::try_from(len).map_err(|_| HeldError::Damaged("truncated"))?;
    reader.take(len).map_err(code)
}

fn read_frontier(reader: &mut Reader<'_>) -> Result<Frontier, HeldError> {
    let size = read_size(reader, "size")?;
    let mut nodes = Vec::new();
    for _ in 0..size.get().count_ones() {
        let hash = parse_hash(reader.line().map_err(code)?);
        nodes.push(hash.map_err(|kind| HeldError::Damaged(kind.code()))?);
    }
    Frontier::from_nodes(size, &nodes).map_err(|error| HeldError::Damaged(error.code()))
}

fn read_channels(reader: &mut Reader<'_>) -> Result<BTreeMap<ChannelName, ChannelState>, HeldError> {
    let mut channels = BTreeMap::new();
    while !reader.is_empty() {
        let state = ChannelState::parse(read_counted(reader, "channel")?);
        let state = state.map_err(|error| HeldError::Damaged(error.code()))?;
        channels.insert(state.channel().clone(), state);
    }
    Ok(channels)
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Log => "log",
        Role::Witness => "witness",
        Role::Elsewhere => "elsewhere",
    }
}

const HELD_HEADER: &str = "indelible-watch-held/v1";
const AHEAD_HEADER: &str = "indelible-watch-ahead/v1";
const RECORDS: &str = "records";
const RAW: &str = "raw";
