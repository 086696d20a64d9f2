//! `cargo xtask deps`: the invariants of ARCHITECTURE.md, checked.
//!
//! One file per question: which crates may know each other ([`arrows`]), which
//! never see burn ([`burn_free`]), whether
//! programs and tests share a build of it ([`one_burn`]), whether versions and lints are stated once
//! ([`manifests`]), where `unsafe` may stand ([`unsafe_code`]), and which
//! licences and sources the whole tree has ([`licences`], [`sources`]). Each
//! returns the violations it found, so that each can be seen failing on a
//! made-up graph.

mod arrows;
mod burn_free;
mod licences;
mod manifests;
mod metadata;
mod one_burn;
mod sources;
mod unsafe_code;

use std::{fs, io::Write, path::Path};

use crate::{Result, cargo};

/// Runs every check and prints a line for each; `false` if one found anything.
pub(crate) fn run(root: &Path, out: &mut impl Write) -> Result<bool> {
    let output = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
    ])
    .stderr(std::process::Stdio::inherit())
    .output()?;
    if !output.status.success() {
        return Err("`cargo metadata` failed".into());
    }
    let graph = metadata::Graph::parse(&serde_json::from_slice(&output.stdout)?)?;
    let deny: toml::Table = fs::read_to_string(root.join("deny.toml"))?.parse()?;

    let checks = [
        ("arrows point one way", arrows::check(&graph)),
        ("crates without burn", burn_free::check(&graph)),
        ("programs and tests share burn", one_burn::check(&graph)?),
        (
            "versions and lints in one place",
            manifests::check(&graph, root)?,
        ),
        ("unsafe code in its rooms", unsafe_code::check(root)?),
        (
            "licences",
            licences::check(&graph, &licences::Policy::parse(&deny)?),
        ),
        ("sources and bans", sources::check(&graph)),
    ];
    let mut clean = true;
    for (name, violations) in checks {
        let verdict = if violations.is_empty() {
            "ok"
        } else {
            "VIOLATED"
        };
        writeln!(out, "{name}: {verdict}")?;
        for violation in &violations {
            writeln!(out, "  {violation}")?;
        }
        clean &= violations.is_empty();
    }
    Ok(clean)
}
