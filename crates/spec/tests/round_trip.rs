//! Values survive every format, and types survive the way through a value.

use firecraft_spec::{MAX_DEPTH, Spec, Table, Value, from_value, to_value};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum Mode {
    Min,
    Scaled(f64),
    Pair(i32, String),
    Between { low: f64, high: f64 },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(deny_unknown_fields)]
struct Everything {
    flag: bool,
    small: i8,
    large: u64,
    number: f64,
    single: f32,
    letter: char,
    text: String,
    nothing: Option<u32>,
    something: Option<u32>,
    list: Vec<Mode>,
    pair: (u8, f64),
    map: BTreeMap<String, i64>,
    unit: (),
    inner: Spec,
}

fn everything() -> Everything {
    Everything {
        flag: true,
        small: -8,
        large: 1 << 62,
        number: 0.1 + 0.2,
        single: 0.1,
        letter: 'ü',
        text: "two\n\"lines\"".into(),
        nothing: None,
        something: Some(7),
        list: vec![
            Mode::Min,
            Mode::Scaled(f64::NEG_INFINITY),
            Mode::Pair(-3, "x".into()),
            Mode::Between {
                low: 0.0,
                high: f64::MAX,
            },
        ],
        pair: (1, -0.0),
        map: [("a".to_owned(), 1), ("b".to_owned(), -2)].into(),
        unit: (),
        inner: Spec::new("cosine").with("updates", 3),
    }
}

#[test]
fn every_serde_shape_survives_a_value() {
    let value = to_value(&everything()).unwrap();
    assert_eq!(from_value::<Everything>(&value).unwrap(), everything());
}

#[test]
fn integers_are_accepted_as_floats_but_not_the_other_way() {
    assert_eq!(from_value::<f64>(&Value::from(3)).unwrap(), 3.0);
    assert!(from_value::<u64>(&Value::from(3.0)).is_err());
    assert!(from_value::<u8>(&Value::from(300)).is_err());
}

#[test]
fn fields_are_read_by_name_and_never_by_place() {
    #[derive(Deserialize, Debug)]
    struct Pair {
        #[allow(dead_code)]
        low: f64,
    }
    let list = Value::from(vec![1.0]);
    assert_eq!(
        from_value::<Pair>(&list).unwrap_err().to_string(),
        "invalid type: sequence, expected struct Pair"
    );
}

#[test]
fn errors_name_the_path_of_the_field() {
    let mut table = to_value(&everything()).unwrap();
    if let Value::Table(table) = &mut table {
        let between: Table = [("low", Value::from(0.0)), ("high", Value::from("much"))]
            .into_iter()
            .collect();
        let variant: Table = [("Between", between)].into_iter().collect();
        table.insert("list", vec![Value::from("Min"), Value::from(variant)]);
    }
    assert_eq!(
        from_value::<Everything>(&table).unwrap_err().to_string(),
        "`list[1].Between.high`: invalid type: string \"much\", expected f64"
    );
}

#[test]
fn numbers_that_json_has_no_word_for_survive_it() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300] {
        let table: Table = [("x", number)].into_iter().collect();
        let json = serde_json::to_string(&table).unwrap();
        assert_eq!(
            serde_json::from_str::<Table>(&json).unwrap(),
            table,
            "{json}"
        );
        let toml = toml::to_string(&table).unwrap();
        let back = toml::from_str::<Table>(&toml).unwrap();
        assert_eq!(back, table, "{toml}");
        let back = back.get("x").and_then(Value::as_number).unwrap();
        assert_eq!(back.to_bits(), number.to_bits());
    }
    // TOML's own words are read as well.
    let table: Table = toml::from_str("x = -inf").unwrap();
    assert_eq!(table.get("x"), Some(&Value::Float(f64::NEG_INFINITY)));
    // And the plain words where a float is expected.
    assert_eq!(
        from_value::<f64>(&Value::from("-inf")).unwrap(),
        f64::NEG_INFINITY
    );
    assert!(from_value::<f64>(&Value::from("infinite")).is_err());
}

#[test]
fn toml_drops_null_entries_and_options_read_them_back_as_none() {
    let toml = toml::to_string(&to_value(&everything()).unwrap()).err();
    assert_eq!(toml, None);
    let table: Table = [("a", Value::Null), ("b", Value::from(1))]
        .into_iter()
        .collect();
    assert_eq!(toml::to_string(&table).unwrap(), "b = 1\n");
}

#[test]
fn depth_is_limited_in_every_format() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(serde_json::from_str::<Value>(&deep(MAX_DEPTH)).is_ok());
    let error = serde_json::from_str::<Value>(&deep(MAX_DEPTH + 1)).unwrap_err();
    assert!(error.to_string().contains("64 levels"), "{error}");
}

#[test]
fn a_key_may_not_be_there_twice() {
    assert!(serde_json::from_str::<Value>(r#"{"a": 1, "a": 2}"#).is_err());
}

#[test]
fn integers_beyond_64_signed_bits_are_refused() {
    assert!(serde_json::from_str::<Value>("18446744073709551615").is_err());
    assert!(to_value(&u64::MAX).is_err());
    assert!(to_value(&BTreeMap::from([("a", u64::MAX)])).is_err());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..6)
                .prop_map(|map| Value::Table(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn values_survive_themselves(value in values()) {
        prop_assert_eq!(to_value(&value).unwrap(), value.clone());
        prop_assert_eq!(from_value::<Value>(&value).unwrap(), value);
    }

    #[test]
    fn json_text_of_any_value_is_read_back_to_the_same_text(value in values()) {
        let json = serde_json::to_string(&value).unwrap();
        let back: Value = serde_json::from_str(&json).unwrap();
        // serde_json may miss the last bit of a float; the structure stays.
        prop_assert_eq!(shape(&back), shape(&value));
    }

    #[test]
    fn nothing_that_parses_panics(text in "[ -~]{0,64}") {
        let _ = serde_json::from_str::<Spec>(&text);
        let _ = toml::from_str::<Spec>(&text);
    }
}

fn shape(value: &Value) -> String {
    match value {
        Value::Float(number) => format!("{number:.12e}"),
        Value::List(values) => values.iter().map(|v| shape(v) + ",").collect(),
        Value::Table(table) => table
            .iter()
            .map(|(k, v)| format!("{k}={};", shape(v)))
            .collect(),
        other => other.to_string(),
    }
}
