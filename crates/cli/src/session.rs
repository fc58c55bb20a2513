//! What every verb starts from: the settings, the store, where telemetry and words go.

mod store;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use longshore_core::SystemClock;
use longshore_instrument::Recorder;
use longshore_queue::{PauseNote, Producer, PrunePolicy, PruneRule};
use longshore_telemetry::config::Exporter;
use longshore_telemetry::{
    Config, Environment, LogFormat, Metrics, Redactor, SpanLogSettings, Telemetry, init_logs,
};

use crate::args::CallerWords;
use crate::caller::Caller;
use crate::desk::Desk;
use crate::exit::Usage;
use crate::output::Output;
use crate::person;
pub(crate) use crate::session::store::OpenStore;

/// Most time for the last spans to leave when the program ends.
const FLUSH: Duration = Duration::from_secs(5);
/// The same where a person waits, and a later run sends what is written down.
const BRIEF_FLUSH: Duration = Duration::from_secs(1);

/// The folder of the span log in the user's data folder.
const SPANS: &str = "spans";

/// The name of a configuration file.
const CONFIG_FILE: &str = "longshore.toml";

/// What the command line says that concerns every verb.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) store: Option<String>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) span_log: Option<String>,
}

/// How long the program may take to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Long,
    /// As short as loses nothing.
    Short,
}

/// A run of the program.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    /// Where words go.
    pub(crate) output: &'a Output,
    /// Whether what is done may make a store that is not there.
    makes_store: bool,
    flags: Flags,
    environment: Environment,
    config: OnceCell<Config>,
    store: OnceCell<OpenStore>,
    telemetry: OnceCell<Option<Arc<Telemetry>>>,
    redactor: OnceCell<Redactor>,
}

impl<'a> Session<'a> {
    /// A run with what the command line says; one that only looks makes no store.
    pub(crate) fn new(flags: Flags, output: &'a Output, makes_store: bool) -> Self {
        Self {
            output,
            makes_store,
            flags,
            environment: Environment::from_process(),
            config: OnceCell::new(),
            store: OnceCell::new(),
            telemetry: OnceCell::new(),
            redactor: OnceCell::new(),
        }
    }

    /// The variables of the process.
    pub(crate) const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The settings, read at the first call.
    ///
    /// # Errors
    /// A file cannot be read, or what it says cannot be used.
    pub(crate) fn config(&self) -> anyhow::Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = self.load()?;
        for warning in config.warnings() {
            self.output.warn(&warning.to_string());
        }
        Ok(self.config.get_or_init(|| config))
    }

    fn load(&self) -> anyhow::Result<Config> {
        let mut files = Vec::new();
        for path in self.config_files() {
            match std::fs::read_to_string(&path) {
                Ok(content) => files.push((path.display().to_string(), content)),
                // Only a file that was asked for must be there.
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound
                        && self.flags.config.is_none() => {}
                Err(error) => {
                    let shown = path.display();
                    return Err(Usage(format!("{shown} could not be read: {error}")).into());
                }
            }
        }
        let flags = [
            ("store", &self.flags.store),
            ("telemetry.span_log", &self.flags.span_log),
        ];
        let given = |(key, value): (_, &Option<String>)| Some((key, value.clone()?));
        let flags: Vec<(&str, String)> = flags.into_iter().filter_map(given).collect();
        let mut config = Config::load(&files, &self.environment, &flags)
            .map_err(|error| Usage(error.to_string()))?;
        let spans = self.data_folder().map(|folder| folder.join(SPANS));
        if let Some(spans) = spans.as_deref().and_then(Path::to_str) {
            config.set_default("telemetry.span_log", spans);
        }
        Ok(config)
    }

    /// Where settings are looked for; what a later file says wins.
    fn config_files(&self) -> Vec<PathBuf> {
        if let Some(file) = &self.flags.config {
            return vec![file.clone()];
        }
        let project = std::iter::once(PathBuf::from(CONFIG_FILE));
        let user = self.user_folder("XDG_CONFIG_HOME", ".config");
        project
            .chain(user.map(|folder| folder.join(CONFIG_FILE)))
            .collect()
    }

    /// Where jobs and spans are kept, unless the settings say otherwise.
    fn data_folder(&self) -> Option<PathBuf> {
        self.user_folder("XDG_DATA_HOME", ".local/share")
    }

    /// A folder of ours under one of the user's: that of `variable`, else `below` HOME.
    fn user_folder(&self, variable: &str, below: &str) -> Option<PathBuf> {
        let absolute = |name: &str| {
            let path = self.environment.get(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(Path::new(below))))?;
        Some(base.join("longshore"))
    }

    /// How long the settings keep jobs that are over.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn prune_policy(&self) -> anyhow::Result<PrunePolicy> {
        let config = self.config()?;
        let rule = |after, keep| PruneRule {
            after: config.duration(after),
            keep: config.count(keep).map(|keep| keep as u64),
        };
        Ok(PrunePolicy {
            completed: rule("prune.completed_after", "prune.completed_keep"),
            cancelled: rule("prune.cancelled_after", "prune.cancelled_keep"),
            discarded: rule("prune.discarded_after", "prune.discarded_keep"),
        })
    }

    /// Where telemetry goes, if it goes anywhere.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn recorder(&self) -> anyhow::Result<Option<Arc<dyn Recorder>>> {
        let traces = self.traces()?;
        let telemetry = self.telemetry()?.filter(|_| traces);
        Ok(telemetry.map(Telemetry::recorder))
    }

    /// The telemetry of traces, if there is any, for those who bring spans of other programs.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn shared_telemetry(&self) -> anyhow::Result<Option<Arc<Telemetry>>> {
        let traces = self.traces()?;
        self.telemetry()?;
        Ok(self.telemetry.get().cloned().flatten().filter(|_| traces))
    }

    /// Where spans are written down on this machine, if they are.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn span_log(&self) -> anyhow::Result<Option<SpanLogSettings>> {
        let settings = self.config()?.telemetry();
        Ok(settings.span_log.filter(|_| settings.enabled))
    }

    /// Where traces are opened in the tracing back end, if the settings say so.
    ///
    /// # Errors
    /// The settings cannot be used, or what they say is neither a template nor a preset.
    pub(crate) fn trace_url(&self) -> anyhow::Result<Option<String>> {
        let told = self.config()?.text("trace_url");
        if told.is_empty() {
            return Ok(None);
        }
        let refused = |error| Usage(format!("trace_url (LONGSHORE_TRACE_URL): {error}"));
        longshore_tui::apm::check(told).map_err(refused)?;
        Ok(Some(told.to_owned()))
    }

    /// Whether a variable of the environment says something.
    pub(crate) fn inherits(&self, variable: &str) -> bool {
        let value = self.environment.get(variable);
        value.is_some_and(|value| !value.is_empty())
    }

    /// Where measurements go, if they go anywhere.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn meters(&self) -> anyhow::Result<Option<Arc<dyn Recorder>>> {
        Ok(self.telemetry()?.map(Telemetry::recorder))
    }

    fn telemetry(&self) -> anyhow::Result<Option<&Telemetry>> {
        if let Some(telemetry) = self.telemetry.get() {
            return Ok(telemetry.as_deref());
        }
        if !self.traces()? && self.config()?.telemetry().logs.is_none() {
            return Ok(self.telemetry.get_or_init(|| None).as_deref());
        }
        self.start_telemetry().map(Some)
    }

    /// The metrics of this process. Ask before anything else does for where telemetry goes, since
    /// jobs can be measured without being traced.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn metrics(&self) -> anyhow::Result<Metrics> {
        self.start_telemetry().map(Telemetry::metrics)
    }

    fn start_telemetry(&self) -> anyhow::Result<&Telemetry> {
        let mut settings = self.config()?.telemetry();
        self.name_store(&mut settings)?;
        let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
        for warning in warnings {
            self.output.warn(&warning.to_string());
        }
        let started = self.telemetry.get_or_init(|| Some(Arc::new(telemetry)));
        started.as_deref().context("telemetry is off already")
    }

    /// Whether the settings say that jobs are traced: their spans leave, or are written down.
    fn traces(&self) -> anyhow::Result<bool> {
        Ok(self.span_log()?.is_some() || self.exports()?)
    }

    /// Whether the settings say that spans leave this machine.
    fn exports(&self) -> anyhow::Result<bool> {
        let settings = self.config()?.telemetry();
        Ok(settings.enabled && settings.exporter != Exporter::None)
    }

    /// What decides what a person may be shown of what others wrote, such as a job's errors.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn redactor(&self) -> anyhow::Result<&Redactor> {
        if let Some(redactor) = self.redactor.get() {
            return Ok(redactor);
        }
        let redactor = self.new_redactor()?;
        Ok(self.redactor.get_or_init(|| redactor))
    }

    /// Another of the same.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn new_redactor(&self) -> anyhow::Result<Redactor> {
        let mut policy = self.config()?.telemetry().redaction;
        // The store bounds what is shown, and it is the end that says what went wrong.
        policy.max_attribute_length = usize::MAX;
        // A pattern that is wrong was warned of with the settings.
        let (redactor, _warned) = Redactor::new(&policy);
        Ok(redactor)
    }

    /// Sends log lines to stderr, and says so if spans leave this machine.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn start_logs(&self) -> anyhow::Result<()> {
        let telemetry = self.telemetry()?;
        let config = self.config()?;
        let format: LogFormat = config.text("log.format").parse().map_err(Usage)?;
        let colours = self.output.talk_colour();
        init_logs(
            format,
            config.text("log.filter"),
            colours,
            Arc::new(SystemClock::new()),
            telemetry,
        )
        .map_err(|error| Usage(error.to_string()))?;
        if self.exports()? {
            self.output.talk("OpenTelemetry tracing enabled.");
        }
        Ok(())
    }

    /// The producer and the administrator's calls, made by `caller`, or else by whom the
    /// environment names.
    ///
    /// # Errors
    /// As [`Session::store`], or the caller cannot be read.
    pub(crate) fn desk(&self, caller: &CallerWords) -> anyhow::Result<Desk> {
        let (caller, warning) = Caller::new(caller, &self.environment)?;
        if let Some(warning) = warning {
            self.output.warn(&warning);
        }
        let recorder = self.recorder()?;
        let mut producer = Producer::new(self.store()?);
        if let Some(recorder) = &recorder {
            producer = producer.with_recorder(Arc::clone(recorder));
        }
        Ok(Desk::new(producer, recorder, caller))
    }

    /// What others are to find beside a pause: who typed it here, and why.
    pub(crate) fn pause_note(&self, reason: Option<&str>) -> PauseNote {
        let note = PauseNote::default().by(&person::name(&self.environment));
        match reason {
            Some(reason) => note.because(reason),
            None => note,
        }
    }

    /// Hands on the telemetry that has not left yet. What is written down need not leave now.
    pub(crate) async fn close(&self, patience: Patience) {
        let Some(Some(telemetry)) = self.telemetry.get() else {
            return;
        };
        let is_written_down = self.span_log().is_ok_and(|log| log.is_some());
        let limit = match patience {
            Patience::Short if is_written_down => BRIEF_FLUSH,
            Patience::Short | Patience::Long => FLUSH,
        };
        let in_time = telemetry.shutdown(limit).await;
        let logs = telemetry.log_counters().unwrap_or_default();
        for (lost, items) in [
            (telemetry.counters().dropped_total(), "spans"),
            (logs.dropped_total(), "log records"),
        ] {
            if !in_time && lost > 0 {
                self.output.warn(&format!(
                    "{lost} {items} could not be handed to the collector; `longshore doctor` \
                     checks whether it can be reached"
                ));
            }
        }
    }
}
