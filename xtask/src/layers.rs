//! Who may depend on whom: the rules, and the check of the real dependency graph against them.

mod graph;

use std::path::Path;

use anyhow::Result;

use crate::run;
use graph::Graph;

/// Crates that a layer must not reach through dependencies of its shipped code.
struct Rule {
    crate_name: &'static str,
    forbidden: &'static [Forbidden],
}

/// A set of packages by name.
#[derive(Clone, Copy)]
enum Forbidden {
    Package(&'static str),
    /// `opentelemetry`, its SDK, its exporters and its bridges.
    OpenTelemetry,
    /// Every store.
    Stores,
}

use Forbidden::{OpenTelemetry, Package, Stores};

const SDK: Forbidden = Package("opentelemetry_sdk");
const TOKIO: Forbidden = Package("tokio");
const QUEUE: Forbidden = Package("longshore-queue");
const STORES: [&str; 5] = [
    "longshore-memory",
    "longshore-object",
    "longshore-postgres",
    "longshore-redis",
    "longshore-sqlite",
];
const TESTKIT: &str = "longshore-testkit";

const RULES: &[Rule] = &[
    Rule {
        crate_name: "longshore-core",
        forbidden: &[TOKIO, OpenTelemetry],
    },
    Rule {
        crate_name: "longshore-instrument",
        forbidden: &[SDK, Stores, QUEUE],
    },
    Rule {
        crate_name: "longshore-queue",
        forbidden: &[SDK, Stores],
    },
    Rule {
        crate_name: "longshore-memory",
        forbidden: &[Stores, QUEUE, OpenTelemetry],
    },
    Rule {
        crate_name: "longshore-object",
        forbidden: &[Stores, QUEUE, OpenTelemetry],
    },
    Rule {
        crate_name: "longshore-postgres",
        forbidden: &[Stores, QUEUE, OpenTelemetry],
    },
    Rule {
        crate_name: "longshore-redis",
        forbidden: &[Stores, QUEUE, OpenTelemetry],
    },
    Rule {
        crate_name: "longshore-sqlite",
        forbidden: &[Stores, QUEUE, OpenTelemetry],
    },
    Rule {
        crate_name: "longshore-spanlog",
        forbidden: &[TOKIO, OpenTelemetry, QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-telemetry",
        forbidden: &[QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-api",
        forbidden: &[SDK, QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-trace",
        forbidden: &[TOKIO, OpenTelemetry, QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-archive",
        forbidden: &[OpenTelemetry, QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-bucket",
        forbidden: &[OpenTelemetry, QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-tracestore",
        forbidden: &[TOKIO, OpenTelemetry, QUEUE, Stores],
    },
    Rule {
        crate_name: "longshore-daemon",
        forbidden: &[Stores],
    },
    Rule {
        crate_name: "longshore-tui",
        forbidden: &[SDK, QUEUE, Stores],
    },
];

impl Forbidden {
    fn covers(self, package: &str) -> bool {
        match self {
            Self::Package(name) => package == name,
            Self::OpenTelemetry => is_opentelemetry(package),
            Self::Stores => STORES.contains(&package),
        }
    }
}

fn is_opentelemetry(package: &str) -> bool {
    package.starts_with("opentelemetry") || package == "tracing-opentelemetry"
}

/// What the dependencies break, one sentence each.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let metadata = [
        "metadata",
        "--format-version",
        "1",
        "--all-features",
        "--locked",
    ];
    let graph = Graph::parse(&run::output(run::command(root, "cargo", &metadata))?)?;
    let mut problems = broken_rules(&graph, RULES);
    problems.extend(shipped_testkit(&graph));
    let bare = "tree -p longshore --no-default-features --features sqlite -e normal --prefix none --locked";
    let arguments: Vec<&str> = bare.split(' ').collect();
    let tree = run::output(run::command(root, "cargo", &arguments))?;
    problems.extend(opentelemetry_in(&tree));
    Ok(problems)
}

fn broken_rules(graph: &Graph, rules: &[Rule]) -> Vec<String> {
    let mut problems = Vec::new();
    for rule in rules {
        if !graph.has(rule.crate_name) {
            problems.push(format!(
                "the layer rules name `{}`, which is no package: mend xtask/src/layers.rs",
                rule.crate_name
            ));
        }
        for forbidden in rule.forbidden {
            let covers = |package: &str| package != rule.crate_name && forbidden.covers(package);
            if let Some(path) = graph.path(rule.crate_name, covers) {
                problems.push(format!(
                    "`{}` must not reach `{}`, but does: {}",
                    rule.crate_name,
                    path.last().map_or("", String::as_str),
                    path.join(" -> ")
                ));
            }
        }
    }
    problems
}

fn shipped_testkit(graph: &Graph) -> Vec<String> {
    graph
        .members()
        .filter(|member| *member != TESTKIT)
        .filter_map(|member| graph.path(member, |package| package == TESTKIT))
        .map(|path| {
            format!(
                "`{TESTKIT}` may be a dev-dependency only, but ships by: {}",
                path.join(" -> ")
            )
        })
        .collect()
}

fn opentelemetry_in(tree: &str) -> Option<String> {
    let found = tree.lines().find(|line| is_opentelemetry(line))?;
    Some(format!(
        "`longshore` without its feature `otel` must know no OpenTelemetry crate, but has {found}: \
         see `cargo tree -p longshore --no-default-features --features sqlite -e normal -i {}`",
        found.split(' ').next().unwrap_or(found)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str, Option<&str>)]) -> Graph {
        Graph::from_edges(edges)
    }

    #[test]
    fn a_forbidden_crate_is_found_with_its_path() {
        let graph = graph(&[
            ("longshore-core", "helper", None),
            ("helper", "tokio", None),
        ]);
        let rules = [Rule {
            crate_name: "longshore-core",
            forbidden: &[TOKIO],
        }];
        assert_eq!(
            broken_rules(&graph, &rules),
            [
                "`longshore-core` must not reach `tokio`, but does: longshore-core -> helper -> tokio"
            ]
        );
    }

    #[test]
    fn dev_dependencies_are_free() {
        let graph = graph(&[
            ("longshore-core", "tokio", Some("dev")),
            ("longshore-core", "longshore-testkit", Some("dev")),
            ("longshore-testkit", "tokio", None),
        ]);
        let rules = [Rule {
            crate_name: "longshore-core",
            forbidden: &[TOKIO],
        }];
        assert!(broken_rules(&graph, &rules).is_empty());
        assert!(shipped_testkit(&graph).is_empty());
    }

    #[test]
    fn a_store_may_not_reach_another_but_is_itself() {
        let rules = [Rule {
            crate_name: "longshore-sqlite",
            forbidden: &[Stores],
        }];
        let alone = graph(&[("longshore-sqlite", "longshore-core", None)]);
        assert!(broken_rules(&alone, &rules).is_empty());
        let both = graph(&[("longshore-sqlite", "longshore-memory", None)]);
        assert_eq!(broken_rules(&both, &rules).len(), 1);
    }

    #[test]
    fn a_rule_about_a_crate_that_is_gone_is_an_error() {
        let rules = [Rule {
            crate_name: "longshore-gone",
            forbidden: &[],
        }];
        let problems = broken_rules(&graph(&[("a", "b", None)]), &rules);
        assert!(problems[0].contains("no package"), "{problems:?}");
    }

    #[test]
    fn a_shipped_testkit_is_found() {
        let graph = graph(&[("longshore-cli", "longshore-testkit", None)]);
        assert_eq!(shipped_testkit(&graph).len(), 1);
    }

    #[test]
    fn an_opentelemetry_crate_in_the_bare_facade_is_found() {
        assert_eq!(opentelemetry_in("longshore v0.1.0\nserde v1.0.0\n"), None);
        let problem = opentelemetry_in("longshore v0.1.0\nopentelemetry v0.32.0\n");
        assert!(problem.is_some_and(|text| text.ends_with("-i opentelemetry`")));
    }
}
