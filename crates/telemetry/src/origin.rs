//! Where spans come from: the attributes that all of them share.

use std::borrow::Cow;
use std::sync::Arc;

use longshore_instrument::table::key;
use longshore_instrument::{Attribute, AttributeValue, Span};

use crate::config::TelemetrySettings;
use crate::encode::Resource;
use crate::export::Place;
use crate::process::Process;
use crate::redact::Redactor;
use crate::served::ServedStore;

/// The attributes of this process, as far as they are known, and how to find out the rest.
#[derive(Debug)]
pub(crate) struct Origin {
    pairs: Vec<(String, String)>,
    place: Option<Place>,
    redactor: Arc<Redactor>,
    /// What is heard of its store, unless the user named one.
    served: Option<Arc<ServedStore>>,
}

/// The resource of what a process records, which may turn out to say more.
#[derive(Debug)]
pub(crate) struct OwnResource {
    /// Without a store.
    plain: Resource,
    /// With the store that was heard of last.
    named: Option<(Arc<str>, Resource)>,
    served: Option<Arc<ServedStore>>,
    redactor: Arc<Redactor>,
}

impl Origin {
    /// What the settings say, and then what is known of the process; what the user set by hand wins, and
    /// what they set to nothing is left out.
    pub(crate) fn of(
        settings: &TelemetrySettings,
        process: &Process,
        redactor: Arc<Redactor>,
        served: Arc<ServedStore>,
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
        let names_store = pairs.iter().any(|(name, _)| name == key::STORE);
        pairs.retain(|(name, value)| name != key::STORE || !value.is_empty());
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
            served: (!names_store).then_some(served),
        }
    }

    /// The resource of all spans. This may wait for a server near by, two seconds at most, so it
    /// is for a thread that nobody waits for.
    pub(crate) fn resource(self) -> OwnResource {
        let mut pairs = self.pairs;
        let found = self.place.map(|place| place.ask()).unwrap_or_default();
        for (key, value) in found {
            if !pairs.iter().any(|(name, _)| *name == key) {
                pairs.push((key, value));
            }
        }
        OwnResource {
            plain: Resource::new(fit(&self.redactor, pairs)),
            named: None,
            served: self.served,
            redactor: self.redactor,
        }
    }
}

impl OwnResource {
    /// As it is now.
    pub(crate) fn now(&mut self) -> &Resource {
        let name = self.served.as_ref().and_then(|served| served.name());
        if self.named.as_ref().map(|(name, _)| name) != name.as_ref() {
            let (plain, redactor) = (&self.plain, &self.redactor);
            self.named = name.map(|name| {
                let store = (key::STORE.to_owned(), name.to_string());
                let resource = plain.with(fit(redactor, vec![store]));
                (name, resource)
            });
        }
        self.named
            .as_ref()
            .map_or(&self.plain, |(_, resource)| resource)
    }
}

/// What may leave of the attributes of a resource.
fn fit(redactor: &Redactor, pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut attributes: Vec<Attribute> = pairs
        .into_iter()
        .map(|(key, value)| Attribute {
            key: Cow::Owned(key),
            value: AttributeValue::from(value),
        })
        .collect();
    // Keys too: they may be made of someone's data.
    redactor.attributes(&mut attributes);
    let texts = attributes.into_iter().filter_map(|one| match one.value {
        AttributeValue::String(value) => Some((one.key.into_owned(), value.into_owned())),
        _ => None,
    });
    texts.collect()
}
