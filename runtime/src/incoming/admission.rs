//! Decides whether a call is handled: [`admit`] finds its service or refuses it with an error.

use crate::incoming::responder::Responder;
use crate::incoming::router::RouteId;
use crate::incoming::service::ResponseKind;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::util::drop_counter::DropCounter;

/// Which calls are accepted at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    /// All calls are refused with an error: the connection is about to close.
    Refused,
    /// Requests are refused in the same way; notifications are accepted.
    NoRequests,
    /// All calls are refused with an error: the peer keeps sending requests and does not read the
    /// responses.
    Busy,
    /// Nothing can be answered any more; notifications are accepted.
    Unanswerable,
}

/// The route of a call, unless it is refused.
#[inline]
pub(crate) fn admit<'a>(
    responder: &Responder,
    dropped: &DropCounter,
    route: Option<RouteId>,
    name: impl FnOnce() -> &'a str,
    admission: Admission,
    notification: bool,
) -> Result<RouteId, ResponseKind> {
    match route {
        Some(route) if admission == Admission::Open && !responder.is_busy() => Ok(route),
        _ => admit_or_refuse(responder, dropped, route, name, admission, notification),
    }
}

#[cold]
#[inline(never)]
fn admit_or_refuse<'a>(
    responder: &Responder,
    dropped: &DropCounter,
    route: Option<RouteId>,
    name: impl FnOnce() -> &'a str,
    admission: Admission,
    notification: bool,
) -> Result<RouteId, ResponseKind> {
    let refused = match admission {
        Admission::Open => None,
        Admission::NoRequests | Admission::Unanswerable if notification => None,
        Admission::Unanswerable => return Err(ResponseKind::Silent),
        Admission::Refused | Admission::NoRequests => Some(ErrorCode::SHUTTING_DOWN),
        Admission::Busy => Some(ErrorCode::SERVER_BUSY),
    };
    if let Some(code) = refused {
        if notification && dropped.is_first() {
            tracing::warn!("dropped a notification: the connection is closing or clogged");
        }
        return Err(refusal(code));
    }
    let Some(route) = route else {
        return Err(ResponseKind::Error(ErrorObject::no_method(name())));
    };
    if responder.is_busy() {
        if notification && dropped.is_first() {
            let method = responder.router.name(route);
            tracing::warn!(method, "dropped a notification: too many calls are in flight");
        }
        return Err(refusal(ErrorCode::SERVER_BUSY));
    }
    Ok(route)
}

fn refusal(code: ErrorCode) -> ResponseKind {
    ResponseKind::Error(ErrorObject::of(code))
}
