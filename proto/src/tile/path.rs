//! Paths of tiles and bundles, relative to the prefix of the log.

use alloc::format;
use alloc::string::String;

use super::{BundleId, TileError, TileId, TileWidth};
use crate::wire::parse_decimal;

/// What a path below the prefix of a log names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourcePath {
    /// `tile/<level>/<index>`
    Tile(TileId),
    /// `tile/entries/<index>`
    Bundle(BundleId),
}

impl ResourcePath {
    /// The tile or bundle a path names, in its one spelling: `tile/0/x001/067`, `tile/entries/000.p/5`.
    /// No slash before or after, no dots but `.p/` before a partial width in `1..=255`, no escapes. A
    /// server that builds file names from the answer instead of the path cannot be led out of a folder.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (kind, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (parse_index(index)?, parse_width(width)?),
            None => (parse_index(rest)?, TileWidth::FULL),
        };
        if kind == "entries" {
            return BundleId::new(index, width).map(Self::Bundle);
        }
        let level = parse_decimal(kind.as_bytes()).map_err(|_| TileError::Path)?;
        let level = u8::try_from(level).map_err(|_| TileError::Level { got: level })?;
        TileId::new(level, index, width).map(Self::Tile)
    }

    /// The path, as [`Self::parse`] takes it.
    pub fn path(&self) -> String {
        match self {
            Self::Tile(tile) => tile.path(),
            Self::Bundle(bundle) => bundle.path(),
        }
    }
}

impl TileId {
    /// The tile's path below the prefix of the log.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level(), index_and_width(self.index(), self.width()))
    }
}

impl BundleId {
    /// The bundle's path below the prefix of the log.
    pub fn path(self) -> String {
        format!("tile/entries/{}", index_and_width(self.index(), self.width()))
    }
}

/// `x001/x234/067`, and `.p/5` after it for a partial width.
fn index_and_width(index: u64, width: TileWidth) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut left = index / 1000;
    while left > 0 {
        text = format!("x{:03}/{text}", left % 1000);
        left /= 1000;
    }
    if !width.is_full() {
        text.push_str(&format!(".p/{}", width.get()));
    }
    text
}

/// Three digits to an element, an `x` before all but the last, and no element of zeros before the others.
fn parse_index(text: &str) -> Result<u64, TileError> {
    let mut index = 0u64;
    let mut elements = text.split('/').peekable();
    while let Some(element) = elements.next() {
        let digits = match elements.peek() {
            Some(_) => element.strip_prefix('x').ok_or(TileError::Path)?,
            None => element,
        };
        let [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'] = digits.as_bytes() else {
            return Err(TileError::Path);
        };
        index = digits.bytes().try_fold(index, append_digit).ok_or(TileError::Index { got: u64::MAX })?;
        if index == 0 && elements.peek().is_some() {
            return Err(TileError::Path);
        }
    }
    Ok(index)
}

/// The decimal number `value` with one more digit; `None` if it does not fit.
fn append_digit(value: u64, digit: u8) -> Option<u64> {
    value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0')))
}

/// A partial width, `1..=255`: a full tile has its width not in its path.
fn parse_width(text: &str) -> Result<TileWidth, TileError> {
    let got = parse_decimal(text.as_bytes()).map_err(|_| TileError::Path)?;
    let width = u16::try_from(got).ok().and_then(TileWidth::new).filter(|width| !width.is_full());
    width.ok_or(TileError::Width { got })
}
