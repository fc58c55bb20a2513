//! A call of one of the functions on the server.

use bytes::Bytes;

use crate::contract::{Effect, Function};

/// A function and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static Function,
    pub(crate) arguments: Vec<Bytes>,
    /// How many jobs or leases it is about, if that is known.
    pub(crate) items: usize,
    /// What it does to the store: that of the function, or less.
    pub(crate) effect: Effect,
}

impl Call {
    pub(crate) const fn new(function: &'static Function) -> Self {
        let arguments = Vec::new();
        Self {
            function,
            arguments,
            items: 0,
            effect: function.effect,
        }
    }

    /// It adds nothing, though its function may.
    pub(crate) const fn changes(&mut self) -> &mut Self {
        self.effect = Effect::Changes;
        self
    }

    pub(crate) fn bytes(&mut self, bytes: Bytes) -> &mut Self {
        self.arguments.push(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// A text that is empty if there is none.
    pub(crate) fn some(&mut self, text: Option<&str>) -> &mut Self {
        self.text(text.unwrap_or_default())
    }

    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        self.bytes(Bytes::from(number.to_string()))
    }

    /// How many jobs or leases follow.
    pub(crate) fn of(&mut self, items: usize) -> &mut Self {
        self.items = items;
        self.count(items)
    }

    /// How many there are of what follows, or at most.
    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        // More than this is as good as no bound; the server counts in doubles.
        self.bytes(Bytes::from(count.min(1 << 40).to_string()))
    }

    /// Bytes that may be there, even if they are empty.
    pub(crate) fn optional(&mut self, bytes: Option<&Bytes>) -> &mut Self {
        self.text(if bytes.is_some() { "1" } else { "0" });
        self.bytes(bytes.cloned().unwrap_or_default())
    }
}
