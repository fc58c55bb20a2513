//! Where spans come from: the attributes that all of them share.

use std::borrow::Cow;
use std::sync::Arc;

use longshore_instrument::{Attribute, AttributeValue, Span};

use crate::config::TelemetrySettings;
use crate::encode::Resource;
use crate::export::Place;
use crate::process::Process;
use crate::redact::Redactor;

/// The attributes of this process, as far as they are known, and how to find out the rest.
#[derive(Debug)]
pub(crate) struct Origin {
    pairs: Vec<(String, String)>,
    place: Option<Place>,
    redactor: Arc<Redactor>,
}

impl Origin {
    /// What the settings say, and then what is known of the process; what the user set by hand wins, and
    /// what they set to nothing is left out.
    pub(crate) fn of(
        settings: &TelemetrySettings,
        process: &Process,
        redactor: Arc<Redactor>,
    ) -> Self {
        let own = [
            ("service.name", settings.service_name.as_str()),
            ("deployment.environment.name", settings.environment.as_str()),
            ("telemetry.sdk.name", Span::ENGINE_SCOPE),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let is_own = |key: &str| own.iter().any(|(name, _)| name == key);
        let further = settings
            .resource_attributes
            .iter()
            .filter(|(key, _)| !is_own(key));
        let mut pairs: Vec<_> = further.cloned().collect();
        for (key, value) in process.attributes() {
            match pairs.iter().position(|(name, _)| name == key) {
                None => pairs.push((key.to_owned(), value.to_owned())),
                Some(set) if pairs.get(set).is_some_and(|(_, value)| value.is_empty()) => {
                    pairs.remove(set);
                }
                Some(_) => {}
            }
        }
        Self {
            pairs: own.into_iter().chain(pairs).collect(),
            place: Place::of(settings),
            redactor,
        }
    }

    /// The resource of all spans. This may wait for a server near by, two seconds at most, so it
    /// is for a thread that nobody waits for.
    pub(crate) fn resource(self) -> Resource {
        let mut pairs = self.pairs;
        let found = self.place.map(|place| place.ask()).unwrap_or_default();
        for (key, value) in found {
            if !pairs.iter().any(|(name, _)| *name == key) {
                pairs.push((key, value));
            }
        }
        let mut attributes: Vec<Attribute> = pairs
            .into_iter()
            .map(|(key, value)| Attribute {
                key: Cow::Owned(key),
                value: AttributeValue::from(value),
            })
            .collect();
        // Keys too: they may be made of someone's data.
        self.redactor.attributes(&mut attributes);
        let texts = attributes.into_iter().filter_map(|one| match one.value {
            AttributeValue::String(value) => Some((one.key.into_owned(), value.into_owned())),
            _ => None,
        });
        Resource::new(texts.collect::<Vec<_>>())
    }
}
