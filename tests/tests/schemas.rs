//! The JSON Schemas of everything that recipes name: they list the fields that
//! the constructors take, and say which of them are required.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use firecraft::augment::Transforms;
use firecraft::init::Initializers;
use firecraft::schedule::Schedulers;
use firecraft::spec::{Kind, Registries, Registry, Spec, Value};

fn registries() -> Registries {
    firecraft::registries().unwrap()
}

/// The fields of a type that takes no others, and the required ones.
fn fields<K: Kind>(registry: &Registry<K>, name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let schema = registry.schema(name);
    let schema = schema.unwrap_or_else(|| panic!("no schema of {name}"));
    let part = |key| schema.as_table().unwrap().get(key);
    let closed = part("additionalProperties");
    assert_eq!(closed, Some(&Value::Bool(false)), "{name}");
    let properties = part("properties").and_then(Value::as_table).unwrap();
    let required = part("required").and_then(Value::as_list).unwrap();
    let required = required.iter().filter_map(Value::as_str);
    (
        properties.keys().map(str::to_owned).collect(),
        required.map(str::to_owned).collect(),
    )
}

fn tell_the_truth<K: Kind>(least: usize) {
    let registries = registries();
    let registry = registries.get::<K>().unwrap();
    assert!(registry.len() >= least, "{}", registry.len());
    for name in registry.names() {
        let (properties, required) = fields(registry, name);
        assert!(required.contains("type"), "{name}");
        assert!(required.is_subset(&properties), "{name}: {required:?}");
        match registry.build(&Spec::new(name)) {
            Ok(_) => assert_eq!(required.len(), 1, "{name} needs {required:?}"),
            Err(error) => {
                let error = error.to_string();
                let named = |field: &String| error.contains(&format!("`{field}`"));
                assert!(
                    required.iter().any(named) || !error.contains("missing"),
                    "{error}: {required:?}"
                );
            }
        }
        for field in required.iter().filter(|field| *field != "type") {
            let mut spec = Spec::new(name);
            for other in required.iter().filter(|other| *other != field) {
                spec = spec.with(other, Value::Null);
            }
            assert!(registry.build(&spec).is_err(), "{name} without {field}");
        }
        let odd = Spec::new(name).with("no_such_field", 1);
        assert!(!properties.contains("no_such_field"), "{name}");
        assert!(registry.build(&odd).is_err(), "{name}");
    }
}

#[test]
fn schemas_of_initialisers_list_what_is_taken_and_what_is_missing() {
    tell_the_truth::<Initializers>(10);
}

#[test]
fn schemas_of_schedules_list_what_is_taken_and_what_is_missing() {
    tell_the_truth::<Schedulers>(100);
}

#[test]
fn schemas_of_transforms_list_what_is_taken_and_what_is_missing() {
    tell_the_truth::<Transforms>(80);
}

/// Transforms say their settings themselves.
#[test]
fn schemas_of_transforms_have_every_field_that_the_defaults_write() {
    let registries = registries();
    let registry = registries.get::<Transforms>().unwrap();
    let mut written = 0;
    for name in registry.names() {
        let Ok(transform) = registry.build(&Spec::new(name)) else {
            continue;
        };
        let (properties, _) = fields(registry, name);
        for field in transform.spec().unwrap().params.keys() {
            assert!(properties.contains(field), "{name}: {field}");
            written += 1;
        }
    }
    assert!(written > 50, "{written}");
}

#[test]
fn schemas_have_types_defaults_and_ranges() {
    let registries = registries();
    let registry = registries.get::<Transforms>().unwrap();
    let of = |name: &str, field: &str| {
        let schema = registry.schema(name).unwrap();
        let properties = schema.as_table().unwrap().get("properties").unwrap();
        let field = properties.as_table().unwrap().get(field);
        field.unwrap().to_string()
    };
    assert_eq!(
        of("random_rotation", "factor"),
        "{ anyOf = [{ type = \"number\" }, { type = \"array\", items = { type = \"number\" }, \
         minItems = 2, maxItems = 2 }], description = \"an ordered pair in [-1, 1]\" }"
    );
    assert_eq!(
        of("horizontal_flip", "p"),
        "{ type = \"number\", default = 0.5, description = \"a probability in [0, 1]\" }"
    );
    assert_eq!(
        of("equalize", "method"),
        "{ enum = [\"pillow\", \"open_cv\"], default = \"pillow\" }"
    );
    assert!(of("replay", "plan").contains("color_matrix"));
}
