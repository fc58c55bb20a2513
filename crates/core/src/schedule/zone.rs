//! Time zones by name.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::Timestamp as Instant;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The zones that this build carries: no file of the machine is read, so every machine that runs
/// it agrees.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How like a known name a wrong one must be to be taken for it.
const LIKE: f64 = 0.75;
/// Longest name.
const MAX_CHARS: usize = 64;

/// A time zone of the IANA database, such as `Europe/Berlin`; `UTC` by default.
///
/// The database is part of the build: every machine that runs the same build agrees, and none
/// needs files for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// A text that names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{text}`{}", match nearest {
    Some(nearest) => format!("; did you mean {nearest}?"),
    None => ": use a name of the IANA database such as Europe/Berlin, or UTC".to_owned(),
})]
pub struct InvalidZone {
    text: String,
    nearest: Option<String>,
}

impl Zone {
    /// The name as the database spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// A time as the clocks of this zone show it, such as `2026-05-01T08:30:00+02:00`.
    #[must_use]
    pub fn show(&self, at: Timestamp) -> String {
        let zoned = instant(at).to_zoned(self.zone.clone());
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    pub(super) const fn time_zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: "UTC".to_owned(),
            zone: TimeZone::UTC,
        }
    }
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("UTC") {
            return Ok(Self::default());
        }
        let known = Some(text).filter(|text| text.len() <= MAX_CHARS);
        let Some(zone) = known.and_then(|text| ZONES.get(text).ok()) else {
            let text: String = text.chars().take(MAX_CHARS).collect();
            let nearest = nearest(&text);
            return Err(InvalidZone { text, nearest });
        };
        let name = zone.iana_name().unwrap_or(text).to_owned();
        Ok(Self { name, zone })
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidZone;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The known name that a wrong one is most like, as a whole or in its last part, the place.
fn nearest(text: &str) -> Option<String> {
    let wrong = text.to_ascii_lowercase().replace(' ', "_");
    let place = wrong.rsplit('/').next().unwrap_or_default();
    let likeness = |name: &str| {
        let name = name.to_ascii_lowercase();
        let known_place = name.rsplit('/').next().unwrap_or_default();
        let whole = strsim::jaro_winkler(&wrong, &name);
        // A city that is named alone is no less meant than one with its continent.
        whole.max(strsim::jaro_winkler(place, known_place) - 0.02)
    };
    let known = ZONES.available();
    let scored = known.map(|name| (likeness(name.as_str()), name.as_str().to_owned()));
    let (likeness, name) = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness >= LIKE).then_some(name)
}

/// The same moment as jiff has it.
pub(super) fn instant(at: Timestamp) -> Instant {
    Instant::from_nanosecond(i128::from(at.unix_nanos())).unwrap_or(Instant::MAX)
}

/// The same moment as a timestamp; `None` if it lies beyond what one can say.
pub(super) fn timestamp(at: Instant) -> Option<Timestamp> {
    let nanos = i64::try_from(at.as_nanosecond()).ok()?;
    Some(Timestamp::from_unix_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_gets_the_nearest() {
        for (wrong, meant) in [
            ("Europe/Berln", "Europe/Berlin"),
            ("berlin", "Europe/Berlin"),
            ("america/new york", "America/New_York"),
            ("Asia/Calcuta", "Asia/Calcutta"),
        ] {
            match wrong.parse::<Zone>() {
                Ok(zone) => panic!("{wrong} is {zone}"),
                Err(error) => assert_eq!(error.nearest.as_deref(), Some(meant), "{wrong}"),
            }
        }
        let nonsense = "§§§§".repeat(1000).parse::<Zone>().unwrap_err();
        assert!(nonsense.to_string().len() < 400, "{nonsense}");
    }

    #[test]
    fn names_are_spelt_as_the_database_spells_them() {
        let zone: Zone = "europe/berlin".parse().unwrap();
        assert_eq!(zone.as_str(), "Europe/Berlin");
        let json = serde_json::to_string(&zone).unwrap();
        assert_eq!(serde_json::from_str::<Zone>(&json).unwrap(), zone);
        assert_eq!("utc".parse::<Zone>().unwrap(), Zone::default());
        let at = Timestamp::from_unix_millis(1_777_617_000_000);
        assert_eq!(zone.show(at), "2026-05-01T08:30:00+02:00");
    }
}
