//! Two OpenTelemetry versions in one program do not see each other's spans; the compiler does not
//! say so, but the lock file does.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, Grade};

const CHECK: &str = "opentelemetry";

/// The check of a lock file.
pub(super) fn check(path: &Path) -> Finding {
    let shown = path.display();
    let Ok(text) = std::fs::read_to_string(path) else {
        let message = format!("no {shown} here, so no versions to compare");
        return Finding::new(CHECK, Grade::Ok, message);
    };
    let versions: Vec<String> = versions(&text).into_iter().collect();
    match versions.as_slice() {
        [] => Finding::new(CHECK, Grade::Ok, format!("none in {shown}")),
        [one] => Finding::new(CHECK, Grade::Ok, format!("one version in {shown}: {one}")),
        several => {
            let message = format!(
                "{shown} has versions {}: their contexts do not meet, so spans of one have no \
                 parent in the other; update what asks for the older, or hand contexts over as \
                 W3C text",
                several.join(" and ")
            );
            let oldest = several.first().map_or("", String::as_str);
            Finding::new(CHECK, Grade::Problem, message)
                .mended_by(format!("cargo tree --invert opentelemetry@{oldest}"))
        }
    }
}

/// The versions of the `opentelemetry` package.
fn versions(lock_file: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = lock_file.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter_map(|pair| match pair {
            [r#"name = "opentelemetry""#, version] => version.strip_prefix("version = "),
            _ => None,
        })
        .map(|version| version.trim_matches('"').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_api_package_counts() {
        let text = "[[package]]\nname = \"opentelemetry\"\nversion = \"0.31.0\"\n\n\
            [[package]]\nname = \"opentelemetry\"\nversion = \"0.33.1\"\n\n\
            [[package]]\nname = \"opentelemetry_sdk\"\nversion = \"0.30.0\"\n";
        assert_eq!(
            versions(text).into_iter().collect::<Vec<_>>(),
            ["0.31.0", "0.33.1"]
        );
    }
}
