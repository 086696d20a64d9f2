//! Our states in burn's records, which hold named scalars only.
//!
//! A state is written as bytes, eight to a scalar: numbers as their bits, so
//! that nothing is lost, and text as UTF-8.

use crate::{ScheduleError, State};
use burn::lr_scheduler::LrSchedulerRecord;
use firecraft_spec::{MAX_DEPTH, Table, Value, from_value};

const LENGTH: &str = "firecraft_bytes";

pub(super) fn write(state: &State) -> LrSchedulerRecord {
    let mut bytes = Vec::new();
    encode(&Value::from(state.clone()), &mut bytes);
    let record = LrSchedulerRecord::new().with_scalar(LENGTH, bytes.len() as u64);
    let words = bytes.chunks(8).enumerate();
    words.fold(record, |record, (nth, chunk)| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        record.with_scalar(&word_name(nth), u64::from_le_bytes(word))
    })
}

pub(super) fn read(record: &LrSchedulerRecord) -> Result<State, ScheduleError> {
    let length: u64 = record
        .scalar(LENGTH)
        .ok_or_else(|| damaged("it is not a record of ours"))?;
    let mut bytes = Vec::new();
    for nth in 0..length.div_ceil(8) as usize {
        let word: u64 = record
            .scalar(&word_name(nth))
            .ok_or_else(|| damaged("it is cut short"))?;
        bytes.extend(word.to_le_bytes());
    }
    let mut rest = bytes.get(..length as usize).unwrap_or(&[]);
    let value = decode(&mut rest, 0).ok_or_else(|| damaged("its bytes make no sense"))?;
    from_value(&value).map_err(|error| damaged(&error.to_string()))
}

fn word_name(nth: usize) -> String {
    format!("firecraft_{nth:06}")
}

fn damaged(message: &str) -> ScheduleError {
    ScheduleError::StateValue {
        schedule: "burn_lr".to_owned(),
        message: message.to_owned(),
    }
}

fn encode(value: &Value, bytes: &mut Vec<u8>) {
    let count = |tag: u8, n: usize, bytes: &mut Vec<u8>| {
        bytes.push(tag);
        bytes.extend((n as u64).to_le_bytes());
    };
    match value {
        Value::Null => bytes.push(0),
        Value::Bool(value) => bytes.push(1 + u8::from(*value)),
        Value::Int(value) => {
            bytes.push(3);
            bytes.extend(value.to_le_bytes());
        }
        Value::Float(value) => {
            bytes.push(4);
            bytes.extend(value.to_bits().to_le_bytes());
        }
        Value::String(text) => {
            count(5, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::List(values) => {
            count(6, values.len(), bytes);
            values.iter().for_each(|value| encode(value, bytes));
        }
        Value::Table(table) => {
            count(7, table.len(), bytes);
            for (name, value) in table.iter() {
                count(5, name.len(), bytes);
                bytes.extend(name.as_bytes());
                encode(value, bytes);
            }
        }
    }
}

fn decode(bytes: &mut &[u8], depth: usize) -> Option<Value> {
    let (&tag, rest) = bytes.split_first()?;
    *bytes = rest;
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match tag {
        0 => Value::Null,
        1 | 2 => Value::Bool(tag == 2),
        3 => Value::Int(word(bytes)? as i64),
        4 => Value::Float(f64::from_bits(word(bytes)?)),
        5 => Value::String(text(bytes)?),
        6 => {
            let values = (0..word(bytes)?).map(|_| decode(bytes, depth + 1));
            Value::List(values.collect::<Option<_>>()?)
        }
        7 => {
            let mut table = Table::new();
            for _ in 0..word(bytes)? {
                let Value::String(name) = decode(bytes, depth + 1)? else {
                    return None;
                };
                table.insert(name, decode(bytes, depth + 1)?);
            }
            Value::Table(table)
        }
        _ => return None,
    })
}

fn word(bytes: &mut &[u8]) -> Option<u64> {
    let (word, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*word))
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(word(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_survives() {
        let list = vec![Value::Null, true.into(), (-3).into(), "ü".into()];
        let state = State::new("x", 3)
            .with("list", Value::List(list))
            .with("nan", f64::NAN)
            .with("inf", f64::NEG_INFINITY)
            .with("third", 1.0 / 3.0)
            .with_inner("inner", State::new("y", 1));
        assert_eq!(read(&write(&state)).unwrap(), state);
    }

    #[test]
    fn records_that_are_cut_short_are_damaged() {
        let state = State::new("x", 3).with("third", 1.0 / 3.0);
        let length: u64 = write(&state).scalar(LENGTH).unwrap();
        for wrong in [0, 1, length - 1, length + 1, length + 100] {
            let record = write(&state).with_scalar(LENGTH, wrong);
            assert!(read(&record).is_err(), "{wrong} of {length}");
        }
        assert!(read(&LrSchedulerRecord::new()).is_err());
    }
}
