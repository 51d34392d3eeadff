//! A span of `tracing` for each call ([`CallSpan`]), and the distributed trace that it belongs to.
//!
//! Needs the feature `opentelemetry`; without it, everything here is empty and has no cost. The
//! fields of the span follow OpenTelemetry's conventions for RPC. The members in a request are
//! those of [W3C Trace Context](https://www.w3.org/TR/trace-context/), as StreamJsonRpc sends them.
//! Params and results are never recorded.

use crate::protocol::id::Id;
use crate::protocol::request_extensions::Trace;

/// The span of one call, unless it is disabled.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallSpan(#[cfg(feature = "opentelemetry")] Option<tracing::Span>);

#[cfg(not(feature = "opentelemetry"))]
impl CallSpan {
    pub(crate) fn client(_method: impl FnOnce() -> String, _id: impl FnOnce() -> String) -> Self {
        CallSpan()
    }

    pub(crate) fn server(_method: &str, _id: Option<&Id>, _trace: &Trace<'_>) -> Self {
        CallSpan()
    }

    #[inline(always)]
    pub(crate) fn within<T>(&self, code: impl FnOnce() -> T) -> T {
        code()
    }

    pub(crate) fn failed(&self, _code: Option<i64>) {}

    pub(crate) fn write(&self, _out: &mut Vec<u8>) {}
}

#[cfg(feature = "opentelemetry")]
mod traced {
    use std::str::FromStr;

    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use tracing::{Span, field};
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::{CallSpan, Id, Trace};
    use crate::protocol::text;

    impl CallSpan {
        /// Creates the span of an outgoing call, inside the current span.
        pub(crate) fn client(method: impl FnOnce() -> String, id: impl FnOnce() -> String) -> Self {
            if !tracing::enabled!(target: "wsjsonrpc::call", tracing::Level::INFO) {
                return CallSpan(None);
            }
            let (method, id) = (method(), id());
            CallSpan(Some(tracing::info_span!(
                target: "wsjsonrpc::call",
                "call",
                otel.name = method,
                otel.kind = "client",
                otel.status_code = field::Empty,
                rpc.system = "jsonrpc",
                rpc.jsonrpc.version = "2.0",
                rpc.method = method,
                rpc.jsonrpc.request_id = id,
                rpc.jsonrpc.error_code = field::Empty,
            )))
        }

        /// Creates the span of an incoming call, with the peer's span as its parent. `method` is
        /// the registered name.
        pub(crate) fn server(method: &str, id: Option<&Id>, trace: &Trace<'_>) -> Self {
            if !tracing::enabled!(target: "wsjsonrpc::call", tracing::Level::INFO) {
                return CallSpan(None);
            }
            // The span of the connection's task is not part of the caller's trace.
            let span = tracing::info_span!(
                target: "wsjsonrpc::call",
                parent: None,
                "serve",
                otel.name = method,
                otel.kind = "server",
                otel.status_code = field::Empty,
                rpc.system = "jsonrpc",
                rpc.jsonrpc.version = "2.0",
                rpc.method = method,
                // The id of a peer that does not use this crate may contain data that must not be
                // logged.
                rpc.jsonrpc.request_id = id.filter(|id| id.is_counted()).map(field::display),
                rpc.jsonrpc.error_code = field::Empty,
            );
            if let Some(parent) = parent(trace) {
                let parent = Context::new().with_remote_span_context(parent);
                // This fails if no subscriber exports traces; then there is no trace to join.
                let _ = span.set_parent(parent);
            }
            CallSpan(Some(span))
        }

        /// Runs code inside the span.
        pub(crate) fn within<T>(&self, code: impl FnOnce() -> T) -> T {
            match &self.0 {
                Some(span) => span.in_scope(code),
                None => code(),
            }
        }

        /// Records an error, with its code if it is the peer's.
        pub(crate) fn failed(&self, code: Option<i64>) {
            if let Some(span) = &self.0 {
                span.record("otel.status_code", "error");
                if let Some(code) = code {
                    span.record("rpc.jsonrpc.error_code", code);
                }
            }
        }

        /// Appends the request members by which the peer makes this span the parent of its span.
        pub(crate) fn write(&self, out: &mut Vec<u8>) {
            let Some(context) = self.0.as_ref().map(Span::context) else { return };
            let span = context.span();
            let span = span.span_context();
            if !span.is_valid() {
                return;
            }
            let flags = span.trace_flags().to_u8();
            let (trace, id) = (span.trace_id(), span.span_id());
            out.extend_from_slice(
                format!(",\"traceparent\":\"00-{trace}-{id}-{flags:02x}\"").as_bytes(),
            );
            let state = span.trace_state().header();
            if !state.is_empty() {
                out.extend_from_slice(b",\"tracestate\":");
                text::write(out, &state);
            }
        }
    }

    /// The caller's span. A value that does not follow the recommendation counts as missing.
    fn parent(trace: &Trace<'_>) -> Option<SpanContext> {
        let parent = text::content(trace.parent?)?;
        let mut parts = parent.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, digits: usize| {
            part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let fits = is_hex(version, 2)
            && is_hex(trace_id, 32)
            && is_hex(span_id, 16)
            && is_hex(flags, 2)
            && version != "ff"
            // Only later versions than 00 may have more parts.
            && (version != "00" || parts.next().is_none());
        if !fits {
            return None;
        }
        let state = trace.state.and_then(text::content);
        let state = state.and_then(|state| TraceState::from_str(&state).ok()).unwrap_or_default();
        let span = SpanContext::new(
            TraceId::from_hex(trace_id).ok()?,
            SpanId::from_hex(span_id).ok()?,
            TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
            true,
            state,
        );
        span.is_valid().then_some(span)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_parent_is_read_as_the_recommendation_says() {
            let right = "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"";
            let read = |json: &str| {
                let trace = Trace { parent: Some(json), state: Some("\"a=1,b=2\"") };
                super::parent(&trace)
            };
            let span = read(right).unwrap();
            assert_eq!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(span.span_id().to_string(), "b7ad6b7169203331");
            assert!(span.is_sampled() && span.is_remote());
            assert_eq!(span.trace_state().header(), "a=1,b=2");
            assert!(read(&right.replace("\"00", "\"cc").replace("-01\"", "-01-more\"")).is_some());
            for wrong in [
                "1",
                "null",
                "\"\"",
                "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331\"",
                "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x\"",
                "\"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"",
                "\"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"",
                "\"00-00000000000000000000000000000000-b7ad6b7169203331-01\"",
                "\"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01\"",
                "\"00-é-b7ad6b7169203331-01\"",
            ] {
                assert!(read(wrong).is_none(), "{wrong}");
            }
        }
    }
}
