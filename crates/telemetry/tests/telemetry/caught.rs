//! What somebody outside can read: lines of the log, printed spans.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use longshore_core::SystemClock;
use longshore_telemetry::logs::log_subscriber;
use longshore_telemetry::{LogFormat, Telemetry};
use tracing::Subscriber;

/// Keeps what is written to any of its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caught(Arc<Mutex<Vec<u8>>>);

impl Caught {
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.take()).unwrap()
    }

    /// A log whose lines are written here.
    pub(crate) fn log<'a>(
        &self,
        format: LogFormat,
        filter: &str,
        telemetry: impl Into<Option<&'a Telemetry>>,
    ) -> impl Subscriber + Send + Sync + 'static {
        let lines = self.clone();
        let write = move |line: &[u8]| lines.clone().write_all(line);
        let clock = Arc::new(SystemClock::new());
        log_subscriber(format, filter, clock, telemetry.into(), write).unwrap()
    }
}

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
