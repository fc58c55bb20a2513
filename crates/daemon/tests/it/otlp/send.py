"""Sends a producer span and its consumer with OpenTelemetry's SDK: PROTOCOL 'ENDPOINT PACKING'."""

import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanKind, Status, StatusCode

protocol = sys.argv[1]
endpoint, packing = sys.argv[2].split(" ")
if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    options = {"compression": Compression.Gzip} if packing else {}
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, **options)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    options = {"compression": Compression.Gzip} if packing else {}
    exporter = OTLPSpanExporter(endpoint=endpoint + "/v1/traces", **options)


class Caught:
    """Gathers spans instead of sending each by itself."""

    def __init__(self):
        self.spans = []

    def on_start(self, span, parent_context=None):
        pass

    def _on_ending(self, span):
        pass

    def on_end(self, span):
        self.spans.append(span)

    def shutdown(self):
        pass

    def force_flush(self, timeout_millis=0):
        return True


caught = Caught()
provider = TracerProvider(resource=Resource.create({"service.name": "sender"}))
provider.add_span_processor(caught)
tracer = provider.get_tracer("sender", "1.0")
with tracer.start_as_current_span("send", kind=SpanKind.PRODUCER) as producer:
    sent = producer.get_span_context()
parent = trace.set_span_in_context(NonRecordingSpan(sent))
links = [Link(sent, {"retry": 1})]
with tracer.start_as_current_span(
    "process", kind=SpanKind.CONSUMER, context=parent, links=links
) as consumer:
    consumer.add_event("retry", {"attempt": 2})
    consumer.record_exception(ValueError("x"))
    consumer.set_status(Status(StatusCode.ERROR, "boom"))
result = exporter.export(caught.spans)
exporter.shutdown()
sys.exit(result is not SpanExportResult.SUCCESS)
