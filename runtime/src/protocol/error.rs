//! The error object on the wire ([`ErrorObject`]), its codes ([`ErrorCode`]), and the conversion of
//! a handler's errors into it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::escape::{Shown, clip};
use super::text;

/// What a handler returns: a value, or an error that is sent to the caller.
///
/// `?` converts any [`std::error::Error`] and `anyhow::Error`; see [`ErrorObject`].
///
/// Do not use it for `main`, which would print only what a peer sees. Return `Result<(), Box<dyn
/// std::error::Error>>` there, or `anyhow::Result<()>`, which prints an error with its causes.
pub type Result<T, E = ErrorObject> = std::result::Result<T, E>;

/// The code of an error ([JSON-RPC 2.0, section
/// 5.1](https://www.jsonrpc.org/specification#error_object)).
///
/// The specification reserves -32768 to -32000; applications use other numbers. A code from a peer
/// that does not fit into 64 bits becomes the nearest number that does.
///
/// ```
/// use wsjsonrpc::{ErrorCode, ErrorObject};
///
/// const NO_FUNDS: ErrorCode = ErrorCode(1001);
///
/// let error = ErrorObject::new(NO_FUNDS, "no funds");
/// assert_eq!(error.code(), NO_FUNDS);
/// assert_ne!(error.code(), ErrorCode::INTERNAL_ERROR);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// The message is not JSON.
    pub const PARSE_ERROR: ErrorCode = ErrorCode(-32700);
    /// The message is JSON, but not a valid request.
    pub const INVALID_REQUEST: ErrorCode = ErrorCode(-32600);
    /// The method does not exist.
    pub const METHOD_NOT_FOUND: ErrorCode = ErrorCode(-32601);
    /// The params do not match the method.
    pub const INVALID_PARAMS: ErrorCode = ErrorCode(-32602);
    /// The handler failed. The peer gets no details.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(-32603);
    /// Too many requests or subscriptions of this connection are in flight. Try again when some of
    /// them have ended.
    pub const SERVER_BUSY: ErrorCode = ErrorCode(-32000);
    /// The call needs an identity that the connection does not have
    /// ([`Context::require`](crate::Context::require)).
    pub const UNAUTHORIZED: ErrorCode = ErrorCode(-32001);
    /// The connection is about to close and accepts no new requests.
    pub const SHUTTING_DOWN: ErrorCode = ErrorCode(-32002);
    /// The result is larger than this side may send.
    pub const RESULT_TOO_LARGE: ErrorCode = ErrorCode(-32003);
    /// A subscription ended because its consumer was too slow
    /// ([`Overflow::Close`](crate::subscription::Overflow::Close)).
    pub const SUBSCRIPTION_LAGGED: ErrorCode = ErrorCode(-32004);
    /// The caller exceeds a limit on the rate or the number of its calls. The code is that of
    /// Ethereum's [EIP-1474](https://eips.ethereum.org/EIPS/eip-1474).
    pub const LIMIT_EXCEEDED: ErrorCode = ErrorCode(-32005);
    /// The method calls its caller back or sends it items of a subscription, but the caller used
    /// HTTP POST. The caller must connect with a WebSocket.
    pub const NEEDS_WEBSOCKET: ErrorCode = ErrorCode(-32006);
    /// The caller cancelled the call. The code is that of the Language Server Protocol.
    pub const REQUEST_CANCELLED: ErrorCode = ErrorCode(-32800);

    /// Whether the code means that a whole message was refused, and not one call of it.
    pub(crate) fn is_about_a_message(self) -> bool {
        matches!(self, ErrorCode::PARSE_ERROR | ErrorCode::INVALID_REQUEST)
    }

    /// The specification's texts for its five codes, and this crate's for its own.
    fn text(self) -> &'static str {
        match self {
            ErrorCode::PARSE_ERROR => "Parse error",
            ErrorCode::INVALID_REQUEST => "Invalid Request",
            ErrorCode::METHOD_NOT_FOUND => "Method not found",
            ErrorCode::INVALID_PARAMS => "Invalid params",
            ErrorCode::INTERNAL_ERROR => "Internal error",
            ErrorCode::SERVER_BUSY => "Server busy",
            ErrorCode::UNAUTHORIZED => "Unauthorized",
            ErrorCode::SHUTTING_DOWN => "Shutting down",
            ErrorCode::RESULT_TOO_LARGE => "Result too large",
            ErrorCode::SUBSCRIPTION_LAGGED => "Subscription lagged",
            ErrorCode::LIMIT_EXCEEDED => "Limit exceeded",
            ErrorCode::NEEDS_WEBSOCKET => {
                "This method needs a WebSocket: it sends messages to its caller"
            }
            ErrorCode::REQUEST_CANCELLED => "Request cancelled",
            _ => "Application error",
        }
    }
}

impl From<i64> for ErrorCode {
    fn from(code: i64) -> Self {
        ErrorCode(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An error as it is sent: a code, a message, and optional data ([JSON-RPC 2.0, section
/// 5.1](https://www.jsonrpc.org/specification#error_object)).
///
/// It is the error type of a handler that returns [`Result<T>`](Result). `?` converts any
/// [`std::error::Error`], `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` and `&str`: the
/// peer gets -32603 "Internal error" without details. The error itself is kept as
/// [`source`](Self::source) and logged. Error types that the server knows
/// ([`ServerBuilder::map_error`](crate::server::ServerBuilder::map_error)) keep their own code.
///
/// Because of this conversion, `ErrorObject` does not implement `std::error::Error`.
///
/// ```
/// use wsjsonrpc::{ErrorObject, Result};
///
/// fn parse(port: &str) -> Result<u16> {
///     if port.is_empty() {
///         return Err(ErrorObject::new(1001, "no port given").with_data("port"));
///     }
///     Ok(port.parse::<u16>()?) // a ParseIntError: -32603 for the peer, the details for the log
/// }
///
/// assert_eq!(parse("").unwrap_err().code().0, 1001);
/// assert_eq!(parse("x").unwrap_err().to_string(), "Internal error (-32603)");
/// ```
#[derive(Clone)]
pub struct ErrorObject(Box<Members>);

/// Boxed, because results are moved often, and most are not errors.
#[derive(Clone)]
struct Members {
    code: ErrorCode,
    message: Cow<'static, str>,
    data: Option<Box<RawValue>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A panic in the drop of the application's error must not propagate.
impl Drop for Members {
    fn drop(&mut self) {
        let Some(source) = self.source.take() else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(source))) {
            // The drop of the payload may panic as well.
            std::mem::forget(payload);
            tracing::error!("panic in the `Drop` of a handler's error");
        }
    }
}

impl ErrorObject {
    /// An error with this code and this message.
    ///
    /// ```
    /// use wsjsonrpc::ErrorObject;
    ///
    /// let error = ErrorObject::new(1001, "out of stock");
    /// assert_eq!(error.to_string(), "out of stock (1001)");
    /// ```
    pub fn new(code: impl Into<ErrorCode>, message: impl Into<Cow<'static, str>>) -> Self {
        let (code, message) = (code.into(), message.into());
        ErrorObject(Box::new(Members { code, message, data: None, source: None }))
    }

    /// An error with the standard message of its code.
    pub(crate) fn of(code: ErrorCode) -> Self {
        Self::new(code, code.text())
    }

    /// -32602: the params do not match the method. The message should say which, and what was
    /// expected.
    ///
    /// ```
    /// use wsjsonrpc::{ErrorObject, Result};
    ///
    /// fn check(count: i64) -> Result<()> {
    ///     if count < 0 {
    ///         return Err(ErrorObject::invalid_params("count must not be negative"));
    ///     }
    ///     Ok(())
    /// }
    /// assert_eq!(check(-1).unwrap_err().code().0, -32602);
    /// ```
    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMS, message)
    }

    /// -32603: the handler failed.
    pub fn internal() -> Self {
        Self::of(ErrorCode::INTERNAL_ERROR)
    }

    /// -32601: the method does not exist.
    ///
    /// ```
    /// use wsjsonrpc::{ErrorCode, ErrorObject};
    ///
    /// assert_eq!(ErrorObject::method_not_found().code(), ErrorCode::METHOD_NOT_FOUND);
    /// ```
    pub fn method_not_found() -> Self {
        Self::of(ErrorCode::METHOD_NOT_FOUND)
    }

    /// -32601 with the method's name. The name is the peer's text, so it is escaped and shortened.
    #[cold]
    #[inline(never)]
    pub(crate) fn no_method(name: &str) -> Self {
        const MAX_NAME: usize = 128;
        let (start, more) = clip(name, MAX_NAME);
        let escaped = Shown(start).to_string();
        let (start, cut) = clip(&escaped, MAX_NAME);
        let more = if more.is_empty() { cut } else { more };
        let words = ErrorCode::METHOD_NOT_FOUND.text();
        Self::new(ErrorCode::METHOD_NOT_FOUND, format!("{words}: \"{start}{more}\""))
    }

    /// The same error, with the method's name if it is
    /// [`method_not_found`](Self::method_not_found).
    pub(crate) fn naming(self, method: &str) -> Self {
        let is_plain = self.0.code == ErrorCode::METHOD_NOT_FOUND
            && self.0.message == ErrorCode::METHOD_NOT_FOUND.text()
            && self.0.data.is_none();
        if is_plain { Self::no_method(method) } else { self }
    }

    /// -32600 with the reason.
    #[cold]
    #[inline(never)]
    pub(crate) fn invalid_request(why: &dyn fmt::Display) -> Self {
        let words = ErrorCode::INVALID_REQUEST.text();
        Self::new(ErrorCode::INVALID_REQUEST, format!("{words}: {why}"))
    }

    /// -32001: the caller must authenticate first.
    ///
    /// ```
    /// use wsjsonrpc::ErrorObject;
    ///
    /// let error = ErrorObject::unauthorized("log in first");
    /// assert_eq!(error.to_string(), "log in first (-32001)");
    /// ```
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::UNAUTHORIZED, message)
    }

    /// Adds data for the caller's program. If the data cannot be serialized, it is left out, and
    /// that is logged.
    ///
    /// ```
    /// use wsjsonrpc::ErrorObject;
    ///
    /// let error = ErrorObject::new(1001, "no funds").with_data(50);
    /// assert_eq!(error.data_as::<u64>(), Some(50));
    /// ```
    #[must_use]
    pub fn with_data(mut self, data: impl Serialize) -> Self {
        match serde_json::value::to_raw_value(&data) {
            Ok(data) => self.0.data = Some(data),
            Err(error) => {
                let error = error.to_string();
                let error = Shown(&error);
                tracing::warn!(code = self.0.code.0, %error, "error data left out: it cannot be serialized")
            }
        }
        self
    }

    /// The error's code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The error's message. If the error came from the peer, this is the peer's text, unchanged;
    /// [`Display`](fmt::Display) escapes control characters.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The `data` member as JSON; `None` if it is absent. See [`data_as`](Self::data_as).
    pub fn data(&self) -> Option<&RawValue> {
        self.0.data.as_deref()
    }

    /// The decoded `data` member; `None` if it is absent, or not a valid `T`.
    pub fn data_as<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0.data.as_ref()?.get()).ok()
    }

    /// The error of this process that `?` converted into this object. It is never sent.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Drops the source, whose drop is application code.
    pub(crate) fn forget_source(&mut self) {
        self.0.source = None;
    }

    /// Appends the object as JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"code\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.0.code.0).as_bytes());
        out.extend_from_slice(b",\"message\":");
        text::write(out, &self.0.message);
        if let Some(data) = &self.0.data {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data.get().as_bytes());
        }
        out.push(b'}');
    }
}

/// Compares what is sent, and not the source.
impl PartialEq for ErrorObject {
    fn eq(&self, other: &Self) -> bool {
        let data = |object: &Self| object.0.data.as_ref().map(|data| data.get().to_owned());
        self.0.code == other.0.code
            && self.0.message == other.0.message
            && data(self) == data(other)
    }
}

impl fmt::Debug for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("ErrorObject");
        fields.field("code", &self.0.code.0).field("message", &self.0.message);
        if let Some(data) = &self.0.data {
            fields.field("data", &data.get());
        }
        if let Some(source) = &self.0.source {
            fields.field("source", source);
        }
        fields.finish()
    }
}

/// Shows the message and the code. For a -32603 whose data is a list of texts, as the option
/// `expose_errors` sends it, also shows the texts. Control characters are escaped, because all of
/// it may come from the peer.
impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", Shown(&self.0.message), self.0.code)?;
        if self.0.code == ErrorCode::INTERNAL_ERROR {
            for text in self.data_as::<Vec<String>>().unwrap_or_default() {
                write!(f, ": {}", Shown(&text))?;
            }
        }
        Ok(())
    }
}

/// An error of any kind: what converts into `Box<dyn Error + Send + Sync>`.
// Where `?` needs this trait, rustc shows only the label.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not convert into `Box<dyn Error + Send + Sync>`",
    label = "implement `std::error::Error + Send + Sync` for `{Self}` (for a boxed error: `Box<dyn Error + Send + Sync>`), or convert it with `.map_err(|e| ...)`; to send a code from a handler, derive `wsjsonrpc::RpcError` for it and return `Result<T, {Self}>`"
)]
pub trait AnyError {
    #[doc(hidden)]
    fn into_source(self) -> Arc<dyn StdError + Send + Sync>;
}

// Without this, rustc would say that `Box<dyn Error>` lacks a conversion.
#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn StdError + Send + Sync>>> AnyError for E {
    #[cold]
    fn into_source(self) -> Arc<dyn StdError + Send + Sync> {
        self.into().into()
    }
}

/// For `?`: every [`std::error::Error`] that is `Send + Sync + 'static`, `anyhow::Error`,
/// `Box<dyn Error + Send + Sync>`, `String` and `&str`. The peer gets -32603; the error itself is
/// the object's [`source`](ErrorObject::source).
impl<E: AnyError> From<E> for ErrorObject {
    fn from(error: E) -> Self {
        let mut object = Self::internal();
        object.0.source = Some(error.into_source());
        object
    }
}

/// Lenient, because implementations differ: accepts unknown members, `"data": null` and any number
/// as the code. A missing message becomes an empty one.
impl<'de> Deserialize<'de> for ErrorObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = ErrorObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error object with `code` and `message`")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<ErrorObject, A::Error> {
                let (mut code, mut message, mut data) = (None, None, None);
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match &*key {
                        "code" => code = Some(map.next_value::<serde_json::Number>()?),
                        "message" => message = Some(map.next_value::<String>()?),
                        "data" => data = map.next_value::<Option<Box<RawValue>>>()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let code = code.ok_or_else(|| serde::de::Error::missing_field("code"))?;
                let code = ErrorCode(nearest(&code));
                let mut object = ErrorObject::new(code, message.unwrap_or_default());
                object.0.data = data;
                Ok(object)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The number itself if it fits; `as` saturates.
fn nearest(code: &serde_json::Number) -> i64 {
    code.as_i64().or_else(|| code.as_f64().map(|code| code as i64)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_deserialization() {
        for (json, code, message) in [
            (r#"{"code":1,"message":"m"}"#, 1, "m"),
            (r#"{"message":"m","code":-32768,"data":null,"extra":[{}]}"#, -32768, "m"),
            (r#"{"code":2147483648,"message":""}"#, 1 << 31, ""),
            (r#"{"code":1180591620717411303424,"message":"big"}"#, i64::MAX, "big"),
            (r#"{"code":-1e300,"message":"small"}"#, i64::MIN, "small"),
            (r#"{"code":-32000.0}"#, -32000, ""),
        ] {
            let object: ErrorObject = serde_json::from_str(json).unwrap();
            assert_eq!(
                (object.code().0, object.message(), object.data().is_none()),
                (code, message, true),
                "{json}"
            );
        }
        for json in ["1", "{}", r#"{"message":"m"}"#, r#"{"code":"1"}"#] {
            assert!(serde_json::from_str::<ErrorObject>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_source_is_not_sent() {
        let object = ErrorObject::from(std::io::Error::other("secret"));
        let mut out = Vec::new();
        object.write(&mut out);
        assert_eq!(out, br#"{"code":-32603,"message":"Internal error"}"#);
        assert!(object.source().is_some_and(|source| source.to_string() == "secret"));
    }
}
