//! Converts the errors of handlers for the peer ([`ErrorMap`]). Error types that the application
//! has registered keep their own code, others become an internal error. This runs application code:
//! conversions, the errors' `Display`, and their `Drop`.

use std::error::Error as StdError;

use crate::error::{Causes, CloseReason};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::escape::Shown;
use crate::protocol::typed::RpcError;
use crate::util::catch_unwind::{Panicked, catch_unwind};

type ErrorConversion = fn(&(dyn StdError + Send + Sync + 'static)) -> Option<ErrorObject>;

/// How many errors of a chain the peer gets, and how many bytes of each text.
const EXPOSED_ERRORS: usize = 8;
const EXPOSED_BYTES: usize = 500;

/// The registered error types.
#[derive(Default)]
pub(crate) struct ErrorMap {
    known: Vec<ErrorConversion>,
    /// Whether the peer gets the texts of other errors. `None`: depends on the build and the peer.
    exposes: Option<bool>,
}

/// The properties of a peer that decide how much of an error it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience {
    pub(crate) no_socket: bool,
    /// Whether the peer announced this crate's extensions.
    pub(crate) extended: bool,
}

impl ErrorMap {
    pub(crate) fn add<E: RpcError + StdError + Send + Sync>(&mut self) {
        self.known.push(|source| source.downcast_ref::<E>().map(E::to_object));
    }

    pub(crate) fn expose(&mut self, exposes: bool) {
        self.exposes = Some(exposes);
    }

    /// By default only for peers that announced the extensions: the Python package wsjsonrpc drops
    /// its connection when an error object has a third member.
    fn exposes(&self, audience: Audience) -> bool {
        self.exposes.unwrap_or(cfg!(debug_assertions) && audience.extended)
    }

    /// The error for the peer after a panic in `what`. It never contains the panic's message.
    pub(crate) fn panicked(&self, what: &str, audience: Audience) -> ErrorObject {
        let error = ErrorObject::internal();
        if self.exposes(audience) { error.with_data([format!("{what} panicked")]) } else { error }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.known.extend(other.known);
        self.exposes = other.exposes.or(self.exposes);
    }

    /// Converts an error of a registered type into its own object, and returns others unchanged,
    /// with their source. If the handler failed because the caller has no WebSocket, the error says
    /// so.
    pub(crate) fn known(
        &self,
        error: ErrorObject,
        method: &str,
        audience: Audience,
    ) -> ErrorObject {
        self.translated(error, method, audience, |error| error)
    }

    /// What the peer may see. The source of an error of an unknown type stays on this side.
    pub(crate) fn visible_to_peer(
        &self,
        error: ErrorObject,
        method: &str,
        audience: Audience,
    ) -> ErrorObject {
        self.translated(error, method, audience, |mut error| {
            if let Some(source) = error.source() {
                tracing::error!(
                    method,
                    error = %Causes(source),
                    "handler failed; the caller gets {}",
                    error.code()
                );
                if self.exposes(audience) && error.data().is_none() {
                    let chain = chain(source);
                    error = error.with_data(chain);
                }
            }
            error.forget_source();
            error
        })
    }

    fn translated(
        &self,
        error: ErrorObject,
        method: &str,
        audience: Audience,
        unknown: impl FnOnce(ErrorObject) -> ErrorObject,
    ) -> ErrorObject {
        let translated = catch_unwind(|| {
            let Some(source) = error.source() else { return error };
            match self.known.iter().find_map(|convert| convert(source)) {
                Some(mut known) => {
                    known.forget_source();
                    known
                }
                None if audience.no_socket && is_for_want_of_socket(source) => {
                    ErrorObject::of(ErrorCode::NEEDS_WEBSOCKET)
                }
                None => unknown(error),
            }
        });
        translated.unwrap_or_else(|Panicked| {
            tracing::error!(
                method,
                "the conversion or `Display` of a handler's error panicked; the caller gets -32603"
            );
            self.panicked("the conversion of the error", audience)
        })
    }
}

/// The text of an error and of each of its sources, unless it repeats the previous one. Control
/// characters are escaped, because the texts may quote the peer.
fn chain(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |error| (*error).source()).take(EXPOSED_ERRORS)
    {
        let mut text = Shown(&error.to_string()).to_string();
        if text.len() > EXPOSED_BYTES {
            let end = (0..=EXPOSED_BYTES).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or_default());
            text.push('…');
        }
        if !texts.iter().any(|said| said.contains(&text)) {
            texts.push(text);
        }
    }
    texts
}

/// Whether this error or one of its sources is a call to a caller that has no WebSocket.
fn is_for_want_of_socket(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    // A chain of sources may be endless.
    for _ in 0..32 {
        let Some(error) = next else { return false };
        if let Some(CloseReason::NoSocket) = error.downcast_ref() {
            return true;
        }
        next = error.source();
    }
    false
}
