//! Plugins of other times, names and settings.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use firecraft_augment::{Boxes, Image, Sample, Size, Transforms};
use firecraft_key::Key;
use firecraft_plugin_host::{Plugin, PluginError, register_all};
use firecraft_schedule::{Scheduler, Schedulers, StepContext, step_value};
use firecraft_spec::{Registries, Spec};

/// The plugin of the frozen sources, compiled by rustc alone.
fn frozen(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1_0/plugin.rs");
    let library = folder.join("frozen.so");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command
        .args(["--edition", "2024", "-o"])
        .args([&library, &source]);
    support::succeed(&mut command);
    library
}

#[test]
fn a_plugin_of_abi_1_0_with_its_own_copy_of_the_abi_still_works() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::load(&frozen(folder.path()), None).unwrap();
    assert_eq!((plugin.id(), plugin.abi_minor()), ("org.example.frozen", 0));
    let mut registries = Registries::new();
    plugin.register(&mut registries).unwrap();

    let brighten = Spec::new("brighten_v1").with("by", 9);
    let brighten = registries.build::<Transforms>(&brighten).unwrap();
    let mut sample = Sample::new(Image::from_u8(vec![7; 12], Size::new(2, 2), 3).unwrap());
    let plan = brighten
        .plan(&sample.meta(), Key::from_words([23, 0]))
        .unwrap();
    plan.apply(&mut sample).unwrap();
    assert_eq!(sample.image.as_u8(), Some(&[10; 12][..]));
    // It declares that it can move the image alone.
    sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 1.0, 1.0]]));
    let error = plan.apply(&mut sample).unwrap_err().to_string();
    assert!(
        error.contains("has boxes, which this transform can't move"),
        "{error}"
    );

    let mut count = registries
        .build::<Schedulers>(&Spec::new("count_v1"))
        .unwrap();
    assert_eq!(step_value(&mut count, &StepContext::at(0)), 1.0);
    assert_eq!(
        step_value(&mut count, &StepContext::at(1).with_metric(0.1)),
        0.5
    );
    let mut again = registries
        .build::<Schedulers>(&Spec::new("count_v1"))
        .unwrap();
    again.restore(&count.state()).unwrap();
    assert_eq!(step_value(&mut again, &StepContext::at(2)), 0.5);
}

/// A plugin in C with one scheduler of the given name that always gives `value`.
fn constant(folder: &Path, id: &str, version: &str, name: &str, value: f64) -> PathBuf {
    let text = format!(
        r#"
#include "firecraft_plugin.h"
static int self;
static FirecraftStatus create(FirecraftStr p, void **i, const FirecraftSink *e) {{
  (void)p; (void)e; *i = &self; return FIRECRAFT_STATUS_OK; }}
static void destroy(void *i) {{ (void)i; }}
static FirecraftStatus step(void *i, const FirecraftStepContext *c, double *v, size_t n,
                            const FirecraftSink *e) {{
  (void)i; (void)c; (void)e;
  for (size_t k = 0; k < n; k++) v[k] = {value};
  return FIRECRAFT_STATUS_OK; }}
static const FirecraftSchedulerTable T = {{FIRECRAFT_HEAD(FirecraftSchedulerTable), step, NULL, NULL}};
static const FirecraftClass C = {{FIRECRAFT_HEAD(FirecraftClass), FIRECRAFT_CLASS_KIND_SCHEDULER, 0, 0, 1,
  FIRECRAFT_STR("{name}"), FIRECRAFT_STR("one value"), FIRECRAFT_STR("{{}}"), create, destroy, &T.head}};
static const FirecraftClass *class_at(size_t i) {{ return i == 0 ? &C : NULL; }}
static const FirecraftEntry E = {{FIRECRAFT_HEAD(FirecraftEntry), FIRECRAFT_STR("{id}"),
  FIRECRAFT_STR("{version}"), 1, class_at, NULL}};
const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *h) {{ (void)h; return &E; }}
"#
    );
    let source = folder.join(format!("{id}-{version}.c"));
    fs::write(&source, text).unwrap();
    let library = source.with_extension("so");
    support::compile(&source, &library, &[]);
    library
}

fn names(registries: &mut Registries) -> Vec<String> {
    let schedulers = registries.get_mut::<Schedulers>();
    schedulers.names().map(str::to_owned).collect()
}

#[test]
fn two_plugins_that_bring_the_same_name_are_refused_together() {
    let folder = tempfile::tempdir().unwrap();
    let load = |id, value| {
        Plugin::load(&constant(folder.path(), id, "1.0.0", "same", value), None).unwrap()
    };
    let (first, second) = (load("org.a", 1.0), load("org.b", 2.0));
    let mut registries = Registries::new();
    let error = register_all([&first, &second], &mut registries).unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugins `org.a` and `org.b` both bring `same`; load one of them"
    );
    assert!(names(&mut registries).is_empty());
    // One after the other, the second is refused and the first stays.
    first.register(&mut registries).unwrap();
    let error = second.register(&mut registries).unwrap_err().to_string();
    assert!(
        error.contains("`org.b`") && error.contains("`same`"),
        "{error}"
    );
    let mut same = registries.build::<Schedulers>(&Spec::new("same")).unwrap();
    assert_eq!(step_value(&mut same, &StepContext::at(0)), 1.0);
}

#[test]
fn a_plugin_that_takes_the_name_of_a_built_in_type_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::load(&constant(folder.path(), "org.c", "1", "cosine", 1.0), None).unwrap();
    let mut registries = Registries::new();
    firecraft_schedule::register(&mut registries).unwrap();
    let before = names(&mut registries);
    let error = plugin.register(&mut registries).unwrap_err().to_string();
    assert!(error.contains("`cosine` is registered already"), "{error}");
    assert_eq!(names(&mut registries), before);
}

#[test]
fn two_versions_of_one_plugin_are_refused_in_one_list_and_apart_in_two() {
    let folder = tempfile::tempdir().unwrap();
    let load = |version, value| {
        Plugin::load(&constant(folder.path(), "org.d", version, "d", value), None).unwrap()
    };
    let (old, new) = (load("1.0.0", 1.0), load("2.0.0", 2.0));
    let error = register_all([&old, &new], &mut Registries::new()).unwrap_err();
    assert!(
        matches!(&error, PluginError::Twice { first, second, .. } if first == "1.0.0" && second == "2.0.0"),
        "{error}"
    );
    // Two registries of one process hold one version each, without mixing.
    for (plugin, value) in [(&old, 1.0), (&new, 2.0)] {
        let mut registries = Registries::new();
        plugin.register(&mut registries).unwrap();
        let mut built = registries.build::<Schedulers>(&Spec::new("d")).unwrap();
        assert_eq!(step_value(&mut built, &StepContext::at(0)), value);
    }
}

#[test]
fn a_plugin_compiled_with_panic_abort_is_refused_at_compile_time() {
    support::rust("bold-driver");
    let _lock = support::lock();
    let output = support::cargo()
        .args([
            "rustc",
            "--release",
            "--locked",
            "-p",
            "bold-driver",
            "--lib",
        ])
        .args(["--crate-type", "cdylib", "--", "-C", "panic=abort"])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        message.contains("a plugin must be compiled with `panic = \"unwind\"`"),
        "{message}"
    );
}
