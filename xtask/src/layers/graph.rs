//! The dependency graph as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Packages by name, and which ones the shipped code of each depends on directly.
#[derive(Debug)]
pub(super) struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<PackageRow>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct PackageRow {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Graph {
    /// Reads the output of `cargo metadata --format-version 1`.
    pub(super) fn parse(json: &str) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_str(json).context("cannot read the output of `cargo metadata`")?;
        let names: BTreeMap<&str, &str> = metadata
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let name = |id: &str| names.get(id).copied().unwrap_or(id).to_owned();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in &metadata.resolve.nodes {
            // Two versions of one package share an entry: a path through either is a path.
            let shipped = node.deps.iter().filter(|dependency| dependency.ships());
            edges
                .entry(name(&node.id))
                .or_default()
                .extend(shipped.map(|dependency| name(&dependency.pkg)));
        }
        let members = metadata
            .workspace_members
            .iter()
            .map(|id| name(id))
            .collect();
        Ok(Self { members, edges })
    }

    /// The packages of the workspace.
    pub(super) fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(String::as_str)
    }

    /// Whether there is such a package.
    pub(super) fn has(&self, package: &str) -> bool {
        self.edges.contains_key(package)
    }

    /// A shortest path from a package to one that `wanted` accepts, both ends included.
    pub(super) fn path(&self, from: &str, wanted: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let mut paths = VecDeque::from([vec![from.to_owned()]]);
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(path) = paths.pop_front() {
            let here = path.last()?;
            if wanted(here) {
                return Some(path);
            }
            for next in self.edges.get(here).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    let mut longer = path.clone();
                    longer.push(next.clone());
                    paths.push_back(longer);
                }
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn from_edges(edges: &[(&str, &str, Option<&str>)]) -> Self {
        let mut graph = Self {
            members: BTreeSet::new(),
            edges: BTreeMap::new(),
        };
        for (from, to, kind) in edges {
            let dependency = Dependency {
                pkg: (*to).to_owned(),
                dep_kinds: vec![DependencyKind {
                    kind: kind.map(str::to_owned),
                }],
            };
            graph.members.insert((*from).to_owned());
            let targets = graph.edges.entry((*from).to_owned()).or_default();
            if dependency.ships() {
                targets.insert(dependency.pkg);
            }
            graph.edges.entry((*to).to_owned()).or_default();
        }
        graph
    }
}

impl Dependency {
    /// Whether the package is part of what users run: build and dev-dependencies are not.
    fn ships(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_a_graph_of_shipped_edges() {
        let json = r#"{
            "packages": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "c"}],
            "workspace_members": ["1"],
            "resolve": {"nodes": [
                {"id": "1", "deps": [
                    {"pkg": "2", "dep_kinds": [{"kind": null}]},
                    {"pkg": "3", "dep_kinds": [{"kind": "dev"}]}
                ]},
                {"id": "2", "deps": []},
                {"id": "3", "deps": []}
            ]}
        }"#;
        let graph = Graph::parse(json).unwrap();
        assert_eq!(graph.members().collect::<Vec<_>>(), ["a"]);
        assert_eq!(graph.path("a", |name| name == "b").unwrap(), ["a", "b"]);
        assert_eq!(graph.path("a", |name| name == "c"), None);
        assert!(graph.has("c") && !graph.has("d"));
    }
}
