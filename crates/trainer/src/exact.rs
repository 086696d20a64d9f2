//! State as JSON text that keeps every bit of a float.
//!
//! JSON readers may be off by one unit in the last place, and JSON has no word
//! for NaN. A float is therefore written as `{"$f64": "0.1"}` with the shortest
//! digits that give it back.

use firecraft_spec::{Table, Value};

const FLOAT: &str = "$f64";

pub(crate) fn to_json(value: &Value) -> Result<Vec<u8>, String> {
    let mut text = serde_json::to_vec_pretty(&spell(value)).map_err(|error| error.to_string())?;
    text.push(b'\n');
    Ok(text)
}

pub(crate) fn from_json(text: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(unspell(value))
}

fn spell(value: &Value) -> Value {
    match value {
        Value::Float(number) => {
            let mut table = Table::new();
            table.insert(FLOAT, format!("{number:?}"));
            Value::Table(table)
        }
        Value::List(values) => Value::List(values.iter().map(spell).collect()),
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| (name.to_owned(), spell(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn unspell(value: Value) -> Value {
    match value {
        Value::List(values) => Value::List(values.into_iter().map(unspell).collect()),
        Value::Table(table) => {
            let number = table
                .get(FLOAT)
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok());
            match number {
                Some(number) if table.len() == 1 => Value::Float(number),
                _ => Value::Table(
                    table
                        .iter()
                        .map(|(name, value)| (name.to_owned(), unspell(value.clone())))
                        .collect(),
                ),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_float_survives(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            let mut table = Table::new();
            table.insert("list", vec![Value::Float(number), Value::Int(3), Value::Null]);
            let back = from_json(&to_json(&Value::Table(table)).unwrap()).unwrap();
            let list = back.as_table().unwrap().get("list").unwrap().as_list().unwrap();
            let Value::Float(found) = list[0] else { panic!("no float: {:?}", list[0]) };
            prop_assert!(found.to_bits() == bits || (found.is_nan() && number.is_nan()));
        }
    }
}
