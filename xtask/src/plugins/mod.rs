//! `cargo xtask plugins` and `cargo xtask new-plugin`.

use std::{
    env::{
        self,
        consts::{DLL_PREFIX, DLL_SUFFIX},
    },
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, cargo, succeeds};

const IN_RUST: [&str; 2] = ["vignette", "bold-driver"];
const IN_C: [&str; 2] = ["scanlines", "staircase"];

/// Builds the example plugins and says where they are.
pub(crate) fn build(root: &Path, arguments: &[String]) -> Result<bool> {
    if !arguments.is_empty() {
        return Err("usage: cargo xtask plugins".into());
    }
    let mut out = io::stdout().lock();
    for library in build_these(root, &IN_RUST)? {
        writeln!(out, "{}", library.display())?;
    }
    Ok(true)
}

/// Builds every plugin here, the faulty one first, and says where they are.
pub(crate) fn build_all(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec!["faults"];
    all.extend(IN_RUST);
    build_these(root, &all)
}

/// Those in Rust, then all in C.
fn build_these(root: &Path, in_rust: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = cargo(&["build", "--release", "--locked"]);
    for package in in_rust {
        command.args(["-p", package]);
    }
    if !succeeds(&mut command)? {
        return Err("the plugins in Rust do not build".into());
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("release");
    let library = |name: &str| {
        let name = name.replace('-', "_");
        folder.join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"))
    };
    for name in IN_C {
        let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut command = Command::new(compiler);
        command
            .args(["-std=c99", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC"])
            .arg("-I")
            .arg(root.join("crates/plugin/include"))
            .arg("-o")
            .arg(library(name))
            .arg(root.join("plugins/c").join(name).with_extension("c"))
            .arg("-lm");
        if !succeeds(&mut command)? {
            return Err(format!("`{name}.c` does not compile").into());
        }
    }
    Ok(in_rust
        .iter()
        .chain(&IN_C)
        .map(|name| library(name))
        .collect())
}

const MANIFEST: &str = include_str!("template/Cargo.toml.in");
const LIBRARY: &str = include_str!("template/lib.rs.in");
const IGNORED: &str = "/target\n";

/// Makes a plugin of one's own from the template.
pub(crate) fn create(root: &Path, arguments: &[String]) -> Result<bool> {
    let (name, parent) = match arguments {
        [name] => (name, ".."),
        [name, parent] => (name, parent.as_str()),
        _ => return Err("usage: cargo xtask new-plugin NAME [FOLDER]".into()),
    };
    let crate_name = checked(name)?;
    let parent = fs::canonicalize(parent)
        .map_err(|error| format!("cannot find the folder `{parent}`: {error}; make it first"))?;
    if parent.starts_with(fs::canonicalize(root)?) {
        return Err(format!(
            "`{}` is inside this workspace; give a folder outside: a plugin is a package of its own",
            parent.display()
        )
        .into());
    }
    let folder = parent.join(name);
    fs::create_dir(&folder)
        .map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    fs::create_dir(folder.join("src"))?;
    let sdk = fs::canonicalize(root.join("crates/plugin"))?;
    let fill = |text: &str| {
        text.replace("@NAME@", name)
            .replace("@TYPE@", &camel(&crate_name))
            .replace("@CLASS@", &crate_name)
            .replace("@SDK@", &sdk.display().to_string())
    };
    fs::write(folder.join("Cargo.toml"), fill(MANIFEST))?;
    fs::write(folder.join("src/lib.rs"), fill(LIBRARY))?;
    fs::write(folder.join(".gitignore"), IGNORED)?;
    let library = format!("{DLL_PREFIX}{crate_name}{DLL_SUFFIX}");
    writeln!(
        io::stdout(),
        "made {0}; next:\n  cd {0}\n  cargo test\n  cargo build --release\n  \
         firecraft plugin check target/release/{library}",
        folder.display()
    )?;
    Ok(true)
}

/// The name with `_`, if it is one that cargo and the ABI take.
fn checked(name: &str) -> Result<String> {
    let fits = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if !fits {
        return Err(format!("`{name}` is no name; use a-z, 0-9, - and _, a letter first").into());
    }
    Ok(name.replace('-', "_"))
}

/// `film_grain` → `FilmGrain`.
fn camel(name: &str) -> String {
    name.split('_')
        .filter_map(|word| {
            let mut letters = word.chars();
            Some(letters.next()?.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types_and_odd_ones_are_refused() {
        assert_eq!(camel(&checked("film-grain2").unwrap()), "FilmGrain2");
        for odd in ["", "Film", "2d", "a b", "../x", "é"] {
            assert!(checked(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_plugin_inside_the_workspace_is_refused() {
        let root = crate::root();
        let plugins = root.join("plugins").display().to_string();
        let error = create(&root, &["x".to_owned(), plugins]).unwrap_err();
        assert!(
            error.to_string().contains("inside this workspace"),
            "{error}"
        );
    }
}
