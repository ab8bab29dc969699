//! Which records a publisher has withdrawn: a file for each, since that is all that is asked.
//!
//! ```text
//! <dir>/withdrawn/<id of the withdrawn record, hex>
//! ```
//!
//! Before the seal it has, with one newline after each line:
//!
//! ```text
//! indelible-withdrawn/v1
//! <id of the withdrawn record, hex>
//! <id of the record that withdraws it, hex>
//! ```

use indelible_proto::record::{Predicate, RecordId, SignedRecord};

use super::last_record::record_id;
use super::*;

impl StateDir {
    /// Remembers what `record` withdraws, if it withdraws anything.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn remember_withdrawal(&self, record: &SignedRecord) -> Result<(), StateError> {
        let Predicate::Withdraw(_, body) = &record.statement().predicate else {
            return Ok(());
        };
        let by = record.record_id();
        for withdrawn in &body.records {
            let text = format!("{HEADER}\n{withdrawn}\n{by}\n");
            durable::replace(&self.withdrawn_path(*withdrawn), &sealed(text.into_bytes()))?;
        }
        Ok(())
    }

    /// The record that was published from here and withdraws this one.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is not whole or is about another record, [`StateError::File`].
    pub fn withdrawn_by(&self, record: RecordId) -> Result<Option<RecordId>, StateError> {
        let path = self.withdrawn_path(record);
        let Some(bytes) = read(&path, MAX_BYTES)? else {
            return Ok(None);
        };
        match unsealed(&bytes).and_then(parse) {
            Ok((withdrawn, by)) if withdrawn == record => Ok(Some(by)),
            Ok(_) => Err(StateError::Damaged { path, code: "other-record" }),
            Err(code) => Err(StateError::Damaged { path, code }),
        }
    }

    pub(super) fn withdrawn_path(&self, record: RecordId) -> PathBuf {
        self.dir.join(WITHDRAWN).join(record.to_string())
    }
}

fn parse(bytes: &[u8]) -> Result<(RecordId, RecordId), &'static str> {
    let mut reader = Reader::with_limit(bytes, MAX_BYTES).map_err(|error| error.code())?;
    reader.expect_line(HEADER).map_err(|error| error.code())?;
    let ids = (record_id(&mut reader)?, record_id(&mut reader)?);
    reader.finish().map_err(|error| error.code())?;
    Ok(ids)
}

pub(super) const WITHDRAWN: &str = "withdrawn";
const HEADER: &str = "indelible-withdrawn/v1";
/// The header, two hashes and the seal.
const MAX_BYTES: usize = 512;
