//! Where a trace can be opened: a template of addresses, or the name of a system that has one.
//!
//! A template is an address with `{trace_id}` in it. A preset is a name, with where the system is
//! or which of its accounts is meant behind an equals sign: `jaeger`, `jaeger=https://traces.example`,
//! `tempo=https://grafana.example`, `datadog`, `honeycomb=TEAM/environments/ENVIRONMENT`,
//! `cloudtrace=PROJECT`.

use longshore_core::TraceId;

/// Stands for the trace id.
const ID: &str = "{trace_id}";
/// Stands for what is written behind the name of a preset.
const WHERE: &str = "{where}";

/// A system whose addresses are known.
struct Preset {
    name: &'static str,
    template: &'static str,
    /// What is meant if nothing is written behind the name; nothing if something must be.
    usual: Option<&'static str>,
}

const PRESETS: [Preset; 5] = [
    Preset {
        name: "jaeger",
        template: "{where}/trace/{trace_id}",
        usual: Some("http://localhost:16686"),
    },
    Preset {
        name: "tempo",
        template: "{where}/explore?left=%7B%22datasource%22:%22tempo%22,%22queries%22:%5B%7B%22query%22:%22{trace_id}%22,%22queryType%22:%22traceql%22%7D%5D%7D",
        usual: Some("http://localhost:3000"),
    },
    Preset {
        name: "datadog",
        template: "{where}/apm/trace/{trace_id}",
        usual: Some("https://app.datadoghq.com"),
    },
    Preset {
        name: "honeycomb",
        template: "https://ui.honeycomb.io/{where}/trace?trace_id={trace_id}",
        usual: None,
    },
    Preset {
        name: "cloudtrace",
        template: "https://console.cloud.google.com/traces/list?project={where}&tid={trace_id}",
        usual: None,
    },
];

/// The address of a trace.
///
/// ```
/// use longshore_core::TraceId;
/// use longshore_tui::apm::address;
/// let trace = TraceId::from_u128(0x4bf9);
/// let id = "00000000000000000000000000004bf9";
/// assert_eq!(address("jaeger", trace), Ok(format!("http://localhost:16686/trace/{id}")));
/// assert_eq!(address("https://t.example/{trace_id}?x", trace), Ok(format!("https://t.example/{id}?x")));
/// ```
///
/// # Errors
/// A sentence that says what is wrong with the template.
pub fn address(template: &str, trace: TraceId) -> Result<String, String> {
    template_of(template).map(|template| template.replace(ID, &trace.to_string()))
}

/// The template of a template or of a preset.
fn template_of(text: &str) -> Result<String, String> {
    if text.contains(ID) {
        return Ok(text.to_owned());
    }
    let (name, place) = match text.split_once('=') {
        Some((name, place)) => (name, Some(place.trim_end_matches('/'))),
        None => (text, None),
    };
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        let names = PRESETS.map(|preset| preset.name).join(", ");
        return Err(format!(
            "`{text}` is no address with {{trace_id}} in it and none of {names}"
        ));
    };
    let Some(place) = place.filter(|place| !place.is_empty()).or(preset.usual) else {
        return Err(format!("write which account is meant: {name}=…"));
    };
    Ok(preset.template.replace(WHERE, place))
}

/// Whether a template or preset can be used.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check(template: &str) -> Result<(), String> {
    template_of(template).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_take_a_place_and_say_when_they_need_one() {
        let trace = TraceId::from_u128(1);
        let of = |template| address(template, trace);
        let tempo = of("tempo=https://g.example/").unwrap();
        assert!(tempo.starts_with("https://g.example/explore?"));
        assert!(tempo.contains("00000000000000000000000000000001"));
        assert!(
            of("honeycomb=shop/environments/prod")
                .unwrap()
                .contains("shop/environments/prod/trace?")
        );
        assert_eq!(
            of("cloudtrace").unwrap_err(),
            "write which account is meant: cloudtrace=…"
        );
        assert!(
            check("zipkin")
                .unwrap_err()
                .contains("jaeger, tempo, datadog")
        );
    }
}
