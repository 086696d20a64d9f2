//! Loading files: a real library, and everything that is not one.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use firecraft_plugin_host::{Plugin, PluginError};

/// Compiles a fixture, without dependencies and thus without cargo.
fn compile(source: &Path, folder: &Path) -> PathBuf {
    let library = folder.join(format!("plugin{}", std::env::consts::DLL_SUFFIX));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&library, &source.to_path_buf()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

fn load(path: &Path) -> Result<Plugin, PluginError> {
    Plugin::load(path, None)
}

#[test]
fn a_library_with_its_own_copy_of_the_abi_loads() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minimal.rs");
    let plugin = load(&compile(&source, folder.path())).unwrap();
    assert_eq!(
        (plugin.id(), plugin.version()),
        ("org.example.minimal", "0.1.0")
    );
    assert_eq!(plugin.classes().len(), 0);
}

#[test]
fn a_library_without_the_symbol_is_not_a_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.rs");
    fs::write(&source, "").unwrap();
    let error = load(&compile(&source, folder.path())).unwrap_err();
    assert!(
        matches!(error, PluginError::MissingSymbol { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("exports no `firecraft_plugin_entry`"),
        "{error}"
    );
}

#[test]
fn a_relative_path_is_refused_even_if_it_exists() {
    assert!(Path::new("Cargo.toml").exists());
    for path in ["Cargo.toml", "./Cargo.toml", "libplugin.so"] {
        let error = load(Path::new(path)).unwrap_err();
        assert!(matches!(error, PluginError::NotAbsolute { .. }), "{error}");
    }
}

#[test]
fn a_missing_file_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nothing.so");
    let error = load(&path).unwrap_err();
    assert!(matches!(error, PluginError::Io { .. }), "{error}");
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
}

#[test]
fn a_directory_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(error, PluginError::NotAFile { .. }), "{error}");
}

#[test]
fn an_empty_a_truncated_and_a_text_file_are_not_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minimal.rs");
    let whole = fs::read(compile(&source, folder.path())).unwrap();
    for (name, bytes) in [
        ("empty", &[][..]),
        ("truncated", &whole[..200]),
        ("text", b"hello"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = load(&path).unwrap_err();
        assert!(
            matches!(error, PluginError::NotALibrary { .. }),
            "{name}: {error}"
        );
    }
}
