//! From a request to its spans.

use longshore_instrument::table::key;

use super::error::OtlpError;
use super::span::SpanView;
use super::value::{Attributes, check_pair, text};
use super::wire::Wire;

/// The program, host or container that spans come from, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a>(Wire<'a>);

impl<'a> ResourceView<'a> {
    /// What is known about it.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.0, 1)
    }

    /// Its name among services, if it says one: `service.name`.
    #[must_use]
    pub fn service(&self) -> Option<&'a str> {
        let name = self.attributes().get("service.name")?.as_text()?;
        (!name.is_empty()).then_some(name)
    }

    /// Its name among services, and the store whose jobs it has to do with, where it says them:
    /// `service.name` and `longshore.store`.
    #[must_use]
    pub fn service_and_store(&self) -> (Option<&'a str>, Option<&'a str>) {
        let (mut service, mut store) = (None, None);
        for (name, value) in self.attributes() {
            let said = match name {
                "service.name" => &mut service,
                key::STORE => &mut store,
                _ => continue,
            };
            *said = said.or(value.as_text());
        }
        let is_said = |text: &&str| !text.is_empty();
        (service.filter(is_said), store.filter(is_said))
    }

    /// Its bytes: an OTLP `Resource`. What has the same bytes is the same.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0.bytes()
    }

    fn check(message: Wire<'a>) -> Result<Self, OtlpError> {
        check_pairs(message, 1)?;
        Ok(Self(message))
    }
}

/// The library that made spans, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    /// Its name; may be empty.
    pub name: &'a str,
    /// Its version; may be empty.
    pub version: &'a str,
    message: Wire<'a>,
}

impl<'a> ScopeView<'a> {
    /// What is known about it.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.message, 3)
    }

    fn check(message: Wire<'a>) -> Result<Self, OtlpError> {
        check_pairs(message, 3)?;
        let mut scope = Self {
            name: "",
            version: "",
            message,
        };
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => {
                    field.text()?;
                    scope.name = text(&field);
                }
                2 => scope.version = field.text()?,
                _ => {}
            }
        }
        Ok(scope)
    }
}

fn check_pairs(mut message: Wire<'_>, number: u32) -> Result<(), OtlpError> {
    while let Some(field) = message.field()? {
        if field.number == number {
            check_pair(field.message("attribute")?, 0)?;
        }
    }
    Ok(())
}

/// The spans of a request, in their order. See [`spans`].
#[derive(Clone, Debug)]
pub struct Spans<'a> {
    request: Wire<'a>,
    of_resource: Wire<'a>,
    resource: ResourceView<'a>,
    of_scope: Wire<'a>,
    scope: ScopeView<'a>,
}

const NOTHING: Wire<'static> = Wire::new(&[], "request");

/// Walks over the spans of an OTLP `ExportTraceServiceRequest`.
///
/// An error of [one span](OtlpError::one_span) is followed by the next span; any other is the last
/// item.
#[must_use]
pub const fn spans(request: &[u8]) -> Spans<'_> {
    Spans {
        request: Wire::new(request, "request"),
        of_resource: NOTHING,
        resource: ResourceView(NOTHING),
        of_scope: NOTHING,
        scope: ScopeView {
            name: "",
            version: "",
            message: NOTHING,
        },
    }
}

impl<'a> Spans<'a> {
    fn step(&mut self) -> Result<Option<SpanView<'a>>, OtlpError> {
        loop {
            while let Some(field) = self.of_scope.field()? {
                if field.number == 2 {
                    let span = field.message("span")?;
                    let read = SpanView::read(span, self.resource, self.scope);
                    return read.map(Some).map_err(|error| OtlpError {
                        one_span: true,
                        ..error
                    });
                }
            }
            if !self.next_scope()? && !self.next_resource()? {
                return Ok(None);
            }
        }
    }

    /// Goes to the next `ScopeSpans` of the same resource.
    fn next_scope(&mut self) -> Result<bool, OtlpError> {
        while let Some(field) = self.of_resource.field()? {
            if field.number != 2 {
                continue;
            }
            let spans = field.message("scope spans")?;
            let message = only(spans, 1, "scope")?;
            self.scope = ScopeView::check(message)?;
            self.of_scope = spans;
            return Ok(true);
        }
        Ok(false)
    }

    /// Goes to the next `ResourceSpans`.
    fn next_resource(&mut self) -> Result<bool, OtlpError> {
        while let Some(field) = self.request.field()? {
            if field.number != 1 {
                continue;
            }
            let spans = field.message("resource spans")?;
            self.resource = ResourceView::check(only(spans, 1, "resource")?)?;
            self.of_resource = spans;
            return Ok(true);
        }
        Ok(false)
    }
}

/// The last message that stands in a field, which may come behind what it is about; an empty one if
/// there is none.
fn only<'a>(mut message: Wire<'a>, number: u32, part: &'static str) -> Result<Wire<'a>, OtlpError> {
    let mut found = NOTHING;
    while let Some(field) = message.field()? {
        if field.number == number {
            found = field.message(part)?;
        }
    }
    Ok(found)
}

impl<'a> Iterator for Spans<'a> {
    type Item = Result<SpanView<'a>, OtlpError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step().transpose();
        if let Some(Err(error)) = &item
            && !error.one_span
        {
            // Nothing behind it can be believed.
            (self.request, self.of_resource, self.of_scope) = (NOTHING, NOTHING, NOTHING);
        }
        item
    }
}

impl std::iter::FusedIterator for Spans<'_> {}
