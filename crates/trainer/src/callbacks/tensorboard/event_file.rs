//! The part of TensorBoard's file format that a training needs.
//!
//! A file is a list of records: length (`u64`), masked CRC-32C of the length,
//! an `Event` in protobuf, masked CRC-32C of the event. All numbers are
//! little-endian.

use std::time::{SystemTime, UNIX_EPOCH};

/// One event.
pub(super) struct Record {
    step: u64,
    body: Body,
}

enum Body {
    Version,
    Summaries(Vec<Summary>),
}

/// A named value of an event.
pub(super) struct Summary(Vec<u8>);

impl Record {
    /// The first record of every file.
    pub(super) const fn version() -> Self {
        Self {
            step: 0,
            body: Body::Version,
        }
    }

    pub(super) const fn new(step: u64, values: Vec<Summary>) -> Self {
        Self {
            step,
            body: Body::Summaries(values),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut event = Vec::new();
        double(&mut event, 1, now.unwrap_or_default().as_secs_f64());
        key(&mut event, 2, 0);
        varint(&mut event, self.step);
        match &self.body {
            Body::Version => bytes(&mut event, 3, b"brain.Event:2"),
            Body::Summaries(values) => {
                let mut summary = Vec::new();
                for value in values {
                    bytes(&mut summary, 1, &value.0);
                }
                bytes(&mut event, 5, &summary);
            }
        }
        let length = (event.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(event.len() + 16);
        record.extend_from_slice(&length);
        record.extend_from_slice(&masked_crc(&length));
        record.extend_from_slice(&event);
        record.extend_from_slice(&masked_crc(&event));
        record
    }
}

impl Summary {
    pub(super) fn scalar(tag: impl AsRef<str>, value: f64) -> Self {
        let mut body = Vec::new();
        bytes(&mut body, 1, tag.as_ref().as_bytes());
        key(&mut body, 2, 5);
        body.extend_from_slice(&(value as f32).to_le_bytes());
        Self(body)
    }

    /// 30 buckets of equal width over the finite numbers, if there are any.
    pub(super) fn histogram(tag: &str, numbers: &[f64]) -> Option<Self> {
        const BUCKETS: usize = 30;
        let finite = || numbers.iter().copied().filter(|x| x.is_finite());
        let min = finite().reduce(f64::min)?;
        let max = finite().reduce(f64::max)?;
        let width = ((max - min) / BUCKETS as f64).max(f64::MIN_POSITIVE);
        let mut counts = [0.0; BUCKETS];
        for number in finite() {
            let at = ((number - min) / width) as usize;
            counts[at.min(BUCKETS - 1)] += 1.0;
        }
        let limits = (1..=BUCKETS).map(|i| min + width * i as f64);
        let mut histogram = Vec::new();
        double(&mut histogram, 1, min);
        double(&mut histogram, 2, max);
        double(&mut histogram, 3, finite().count() as f64);
        double(&mut histogram, 4, finite().sum());
        double(&mut histogram, 5, finite().map(|x| x * x).sum());
        let packed = |numbers: &mut dyn Iterator<Item = f64>| {
            numbers.flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
        };
        bytes(&mut histogram, 6, &packed(&mut limits.into_iter()));
        bytes(&mut histogram, 7, &packed(&mut counts.into_iter()));
        let mut body = Vec::new();
        bytes(&mut body, 1, tag.as_bytes());
        bytes(&mut body, 5, &histogram);
        Some(Self(body))
    }
}

/// The records of a file that are whole, each with its step and its bytes.
pub(super) fn records(file: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = file;
    std::iter::from_fn(move || {
        let length = usize::try_from(u64::from_le_bytes(*rest.first_chunk()?)).ok()?;
        let whole = rest.get(..length.checked_add(16)?)?;
        let event = &whole[12..12 + length];
        if whole[8..12] != masked_crc(&whole[..8]) || whole[12 + length..] != masked_crc(event) {
            return None;
        }
        rest = &rest[whole.len()..];
        // Events of ours start with the time and the step.
        let step = event.get(9..).and_then(read_step).unwrap_or_default();
        Some((step, whole))
    })
}

fn read_step(event: &[u8]) -> Option<u64> {
    let (&key, digits) = event.split_first()?;
    if key != 0x10 {
        return None;
    }
    let mut step = 0;
    for (at, &digit) in digits.iter().take(10).enumerate() {
        step |= u64::from(digit & 0x7f) << (7 * at);
        if digit < 0x80 {
            return Some(step);
        }
    }
    None
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn double(out: &mut Vec<u8>, field: u64, number: f64) {
    key(out, field, 1);
    out.extend_from_slice(&number.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    key(out, field, 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn masked_crc(content: &[u8]) -> [u8; 4] {
    let crc = crc32c(content);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32C (Castagnoli), bit by bit: records are short.
fn crc32c(content: &[u8]) -> u32 {
    !content.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            let mask = (crc & 1).wrapping_neg();
            crc >> 1 ^ 0x82f6_3b78 & mask
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn records_are_read_back_and_a_torn_one_ends_the_file() {
        let mut file = Record::version().to_bytes();
        for step in [1, 300, 70_000] {
            let values = vec![Summary::scalar("loss", 0.5)];
            file.extend(Record::new(step, values).to_bytes());
        }
        let steps = |file: &[u8]| records(file).map(|record| record.0).collect::<Vec<_>>();
        assert_eq!(steps(&file), [0, 1, 300, 70_000]);
        assert_eq!(steps(&file[..file.len() - 1]), [0, 1, 300]);
        file[60] ^= 1;
        assert!(steps(&file).len() < 4);
        assert!(steps(&[]).is_empty());
    }

    #[test]
    fn a_histogram_counts_every_finite_number() {
        assert!(Summary::histogram("w", &[f64::NAN]).is_none());
        let Summary(body) = Summary::histogram("w", &[1.0, 1.0, f64::INFINITY]).unwrap();
        let count = 2.0f64.to_le_bytes();
        assert!(body.windows(8).any(|window| window == count));
    }
}
