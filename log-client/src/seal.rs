//! The last line of a file of our own, `end <SHA-256 of everything before this line, hex>`.
//!
//! It tells a whole file from one that a crash or a bad disk changed, so that what changed is called damage and
//! nobody is accused of it. It keeps no one out: who can write the file can seal it.

use indelible_proto::hash::sha256;

/// Length of that line: word, space, 64 digits, newline.
pub(crate) const SEAL_LEN: usize = 4 + 64 + 1;

/// `body` with its last line.
pub(crate) fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let seal = seal_line(&body);
    body.extend_from_slice(&seal);
    body
}

/// What is before the last line, or the stable name of what is wrong.
pub(crate) fn unsealed(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let parts = bytes.len().checked_sub(SEAL_LEN).and_then(|at| bytes.split_at_checked(at));
    let (body, seal) = parts.ok_or("truncated")?;
    if seal == seal_line(body) { Ok(body) } else { Err("checksum") }
}

fn seal_line(body: &[u8]) -> Vec<u8> {
    format!("end {}\n", sha256(body).to_hex()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_of_a_sealed_file_can_change() {
        let whole = sealed(b"indelible-file/v1\n7\n".to_vec());
        assert_eq!(unsealed(&whole), Ok(&b"indelible-file/v1\n7\n"[..]));
        assert_eq!(unsealed(&sealed(Vec::new())), Ok(&[][..]));
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(unsealed(&changed), Err("checksum"), "byte {at}, bit {bit}");
            }
            assert!(unsealed(&whole[..at]).is_err() && unsealed(&whole[at + 1..]).is_err(), "{at}");
        }
    }
}
