//! The part of `cargo metadata` that the checks need.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;

use crate::Result;

/// How one package needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// For its code.
    Normal,
    /// For its build script.
    Build,
    /// For its tests, benches and examples.
    Dev,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// The package's name.
    pub name: String,
    /// The name that features use for it.
    pub alias: String,
    pub kind: Kind,
    pub optional: bool,
    pub default_features: bool,
    pub features: Vec<String>,
    /// The version requirement.
    pub requirement: String,
}

/// One package of the tree.
#[derive(Debug)]
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    pub licence: Option<String>,
    /// `None` for a package of this workspace.
    pub source: Option<String>,
    pub manifest: PathBuf,
    pub declared: Vec<Declared>,
    pub features: BTreeMap<String, Vec<String>>,
    /// The ids of packages that it resolved to, without those for tests only.
    pub resolved: BTreeSet<String>,
}

/// All packages, by id.
#[derive(Debug)]
pub(crate) struct Graph {
    pub packages: BTreeMap<String, Package>,
    pub members: BTreeSet<String>,
}

impl Graph {
    /// Reads the output of `cargo metadata --format-version 1`.
    pub(crate) fn parse(metadata: &Value) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in list(&metadata["packages"])? {
            packages.insert(text(&package["id"])?, parse_package(package)?);
        }
        for node in list(&metadata["resolve"]["nodes"])? {
            let package = packages
                .get_mut(&text(&node["id"])?)
                .ok_or("a node without package")?;
            for dep in list(&node["deps"])? {
                let kinds = list(&dep["dep_kinds"])?;
                if kinds
                    .iter()
                    .any(|kind| kind["kind"].as_str() != Some("dev"))
                {
                    package.resolved.insert(text(&dep["pkg"])?);
                }
            }
        }
        let members = list(&metadata["workspace_members"])?
            .iter()
            .map(text)
            .collect::<Result<_>>()?;
        Ok(Self { packages, members })
    }

    /// The packages of this workspace.
    pub(crate) fn workspace(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|(id, _)| self.members.contains(*id))
            .map(|(_, p)| p)
    }

    /// The package of this workspace that has the name.
    pub(crate) fn member(&self, name: &str) -> Option<&Package> {
        self.workspace().find(|package| package.name == name)
    }
}

fn parse_package(package: &Value) -> Result<Package> {
    let declared = list(&package["dependencies"])?
        .iter()
        .map(|dep| {
            let name = text(&dep["name"])?;
            Ok(Declared {
                alias: dep["rename"].as_str().unwrap_or(&name).to_owned(),
                kind: match dep["kind"].as_str() {
                    None => Kind::Normal,
                    Some("build") => Kind::Build,
                    Some(_) => Kind::Dev,
                },
                optional: dep["optional"].as_bool().unwrap_or(false),
                default_features: dep["uses_default_features"].as_bool().unwrap_or(true),
                features: strings(&dep["features"])?,
                requirement: text(&dep["req"])?,
                name,
            })
        })
        .collect::<Result<_>>()?;
    let features = package["features"]
        .as_object()
        .ok_or("a package without features")?;
    Ok(Package {
        name: text(&package["name"])?,
        version: text(&package["version"])?,
        licence: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
        manifest: text(&package["manifest_path"])?.into(),
        declared,
        features: features
            .iter()
            .map(|(name, enables)| Ok((name.clone(), strings(enables)?)))
            .collect::<Result<_>>()?,
        resolved: BTreeSet::new(),
    })
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value
        .as_array()
        .ok_or_else(|| format!("cargo metadata: expected a list, got {value}").into())
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("cargo metadata: expected text, got {value}").into())
}

fn strings(value: &Value) -> Result<Vec<String>> {
    list(value)?.iter().map(text).collect()
}

/// Made-up graphs for the tests of the checks.
#[cfg(test)]
pub(crate) mod made_up {
    use super::*;
    use serde_json::json;

    /// A package in the making; a member of the workspace unless `external`.
    pub(crate) struct Draft {
        pub name: &'static str,
        version: &'static str,
        licence: Option<&'static str>,
        source: Option<&'static str>,
        dependencies: Vec<Value>,
        features: serde_json::Map<String, Value>,
        resolved: Vec<&'static str>,
    }

    pub(crate) const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

    pub(crate) fn member(name: &'static str) -> Draft {
        Draft {
            name,
            version: "0.1.0",
            licence: Some("MIT OR Apache-2.0"),
            source: None,
            dependencies: Vec::new(),
            features: serde_json::Map::new(),
            resolved: Vec::new(),
        }
    }

    pub(crate) fn external(name: &'static str) -> Draft {
        Draft {
            source: Some(CRATES_IO),
            ..member(name)
        }
    }

    impl Draft {
        pub(crate) fn version(self, version: &'static str) -> Self {
            Self { version, ..self }
        }

        pub(crate) fn licence(self, licence: Option<&'static str>) -> Self {
            Self { licence, ..self }
        }

        pub(crate) fn source(self, source: &'static str) -> Self {
            Self {
                source: Some(source),
                ..self
            }
        }

        pub(crate) fn needs(self, name: &'static str) -> Self {
            self.dependency(name, json!({}))
        }

        pub(crate) fn optionally(self, name: &'static str) -> Self {
            self.dependency(name, json!({"optional": true}))
        }

        pub(crate) fn for_tests(self, name: &'static str) -> Self {
            self.dependency(name, json!({"kind": "dev"}))
        }

        pub(crate) fn with(self, name: &'static str, features: &[&str]) -> Self {
            self.dependency(
                name,
                json!({"features": features, "uses_default_features": false}),
            )
        }

        pub(crate) fn feature(mut self, name: &str, enables: &[&str]) -> Self {
            self.features.insert(name.to_owned(), json!(enables));
            self
        }

        fn dependency(mut self, name: &'static str, over: Value) -> Self {
            let mut dependency = json!({
                "name": name, "rename": null, "kind": null, "optional": false,
                "uses_default_features": true, "features": [], "req": "^1",
            });
            for (key, value) in over.as_object().unwrap() {
                dependency[key] = value.clone();
            }
            if dependency["kind"] != "dev" {
                self.resolved.push(name);
            }
            self.dependencies.push(dependency);
            self
        }
    }

    /// The graph of the packages; whatever is resolved has to be among them.
    pub(crate) fn graph(drafts: Vec<Draft>) -> Graph {
        let id = |name: &str| format!("{name}#id");
        let packages: Vec<Value> = drafts
            .iter()
            .map(|d| {
                json!({
                    "id": id(d.name), "name": d.name, "version": d.version,
                    "license": d.licence, "source": d.source,
                    "manifest_path": format!("/made-up/{}/Cargo.toml", d.name),
                    "dependencies": d.dependencies, "features": d.features,
                })
            })
            .collect();
        let nodes: Vec<Value> = drafts
            .iter()
            .map(|d| {
                let deps: Vec<Value> = d
                    .resolved
                    .iter()
                    .map(|name| json!({"pkg": id(name), "dep_kinds": [{"kind": null}]}))
                    .collect();
                json!({"id": id(d.name), "deps": deps})
            })
            .collect();
        let members: Vec<String> = drafts
            .iter()
            .filter(|d| d.source.is_none())
            .map(|d| id(d.name))
            .collect();
        Graph::parse(&json!({
            "packages": packages, "resolve": {"nodes": nodes}, "workspace_members": members,
        }))
        .unwrap()
    }
}
