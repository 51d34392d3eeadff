//! Extensions of a request: the member `wsjsonrpc` of the envelope, which is an object. Also has
//! the names of the control notifications for cancellation and progress.
//!
//! The member is sent only to peers that announced support in the opening handshake. It is read
//! from all peers, because a web page cannot set the header that announces support, and a POST has
//! no opening handshake.
//!
//! Each of its members is optional, and an invalid value counts as missing, so that it does not
//! make the request invalid.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::encode::buffer;
use super::id::Id;
use super::item::Position;
use super::scan::Cursor;
use super::text;

/// The header of the opening handshake by which a side announces support for the extensions, and
/// its value.
pub(crate) const HEADER: &str = "wsjsonrpc-extensions";
pub(crate) const VERSION: &str = "1";

/// The notification that cancels a request ([Language Server Protocol, section "Cancellation
/// Support"](https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#cancelRequest)).
pub(crate) const CANCEL: &str = "$/cancelRequest";

/// The notification of a call's progress ([Language Server Protocol, section "Progress
/// Support"](https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#progress)).
pub(crate) const PROGRESS: &str = "$/progress";

/// The maximum length of a progress token as JSON. It is limited because each progress notification
/// repeats the token.
const MAX_TOKEN: usize = 1024;

/// The extensions of a peer's request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReceivedExtensions {
    /// How long the caller still waits for the response.
    pub(crate) timeout: Option<Duration>,
    /// The token for progress notifications as JSON, if the caller wants progress.
    pub(crate) progress: Option<Box<str>>,
    /// The number of bytes of a subscription's items that may be in transit or unread.
    pub(crate) window: Option<u64>,
    /// Where the items of a subscription should start, if the caller wants their positions.
    pub(crate) resume: Option<Box<Resume>>,
}

/// Where the items of a subscription should start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The caller has no position yet, and wants to know the positions of the items.
    FromNow,
    /// After the last item that the caller has consumed.
    After(Position),
}

/// The trace that a call is a part of, as JSON of any kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Trace<'a> {
    #[cfg(feature = "opentelemetry")]
    pub(crate) parent: Option<&'a str>,
    #[cfg(feature = "opentelemetry")]
    pub(crate) state: Option<&'a str>,
    #[cfg(not(feature = "opentelemetry"))]
    _none: std::marker::PhantomData<&'a str>,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    progress: Option<&'a RawValue>,
    #[serde(borrow)]
    window: Option<&'a RawValue>,
    #[serde(borrow)]
    resume: Option<&'a RawValue>,
}

impl ReceivedExtensions {
    /// Decodes the member's value.
    pub(crate) fn read(json: &str) -> Self {
        let mut at = Cursor::new(json);
        if let Some(milliseconds) = take_plain_timeout(&mut at) {
            let timeout = Some(Duration::from_millis(milliseconds));
            return ReceivedExtensions { timeout, ..ReceivedExtensions::default() };
        }
        let Ok(members) = serde_json::from_str::<Members<'_>>(json) else {
            return ReceivedExtensions::default();
        };
        let is_token = |json: &&RawValue| {
            text::is_string_or_number(json.get()) && json.get().len() <= MAX_TOKEN
        };
        ReceivedExtensions {
            timeout: members.timeout.and_then(|json| milliseconds(json.get())),
            progress: members.progress.filter(is_token).map(|json| json.get().into()),
            window: members.window.and_then(|json| json.get().parse().ok()),
            resume: members.resume.and_then(|json| resume(json.get())).map(Box::new),
        }
    }
}

/// Takes the object if it contains only a timeout, as in nearly every call. Otherwise returns
/// `None` and leaves the cursor at an undefined position.
#[inline(always)]
pub(crate) fn take_plain_timeout(at: &mut Cursor<'_>) -> Option<u64> {
    at.take_all(b"{\"timeout\":")?;
    let milliseconds = at.integer()?;
    at.take_all(b"}")?;
    Some(milliseconds)
}

/// The id in the params of [`CANCEL`].
pub(crate) fn cancelled(params: &str) -> Option<Id> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    Id::from_json(serde_json::from_str::<Params<'_>>(params).ok()?.id.get())
}

/// The token and the value in the params of [`PROGRESS`], as JSON.
pub(crate) fn progressed(params: &str) -> Option<(&str, &str)> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        token: &'a RawValue,
        #[serde(borrow)]
        value: &'a RawValue,
    }
    let params = serde_json::from_str::<Params<'_>>(params).ok()?;
    Some((params.token.get(), params.value.get()))
}

/// Writes a progress notification. The token is JSON.
pub(crate) fn progress<T: Serialize + ?Sized>(
    token: &str,
    value: &T,
) -> serde_json::Result<Vec<u8>> {
    let mut out = buffer::take();
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":\"$/progress\",\"params\":{\"token\":");
    out.extend_from_slice(token.as_bytes());
    out.extend_from_slice(b",\"value\":");
    serde_json::to_writer(&mut out, value)?;
    out.extend_from_slice(b"}}");
    Ok(out)
}

fn resume(json: &str) -> Option<Resume> {
    if json == "true" {
        return Some(Resume::FromNow);
    }
    Position::read(json).map(Resume::After)
}

fn milliseconds(json: &str) -> Option<Duration> {
    let digits = !json.is_empty() && json.bytes().all(|byte| byte.is_ascii_digit());
    if digits { json.parse().ok().map(Duration::from_millis) } else { None }
}

/// The extensions of a request of this side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SentExtensions<'a> {
    /// How long this side waits for the response.
    pub(crate) timeout: Option<Duration>,
    /// Whether it wants progress; the request's own id is the token.
    pub(crate) progress: bool,
    pub(crate) window: Option<u64>,
    pub(crate) resume: Option<&'a Resume>,
}

impl SentExtensions<'_> {
    /// Appends the member and the comma before it, if there is any extension.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, write_id: impl Fn(&mut Vec<u8>)) {
        let mut open: &[u8] = b",\"wsjsonrpc\":{";
        let mut member = |out: &mut Vec<u8>, name: &[u8]| {
            out.extend_from_slice(std::mem::replace(&mut open, b","));
            out.extend_from_slice(name);
        };
        if let Some(timeout) = self.timeout {
            member(out, b"\"timeout\":");
            let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            out.extend_from_slice(itoa::Buffer::new().format(milliseconds).as_bytes());
        }
        if self.progress {
            member(out, b"\"progress\":");
            write_id(out);
        }
        if let Some(window) = self.window {
            member(out, b"\"window\":");
            out.extend_from_slice(itoa::Buffer::new().format(window).as_bytes());
        }
        if let Some(resume) = self.resume {
            member(out, b"\"resume\":");
            match resume {
                Resume::FromNow => out.extend_from_slice(b"true"),
                Resume::After(position) => position.write(out),
            }
        }
        if open == b"," {
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let timeout = Some(Duration::from_millis(1500));
        let after = Resume::After(Position { epoch: "e1".to_owned(), offset: 41 });
        for (extensions, expected) in [
            (SentExtensions::default(), ""),
            (SentExtensions { timeout, ..SentExtensions::default() }, r#"{"timeout":1500}"#),
            (
                SentExtensions { progress: true, ..SentExtensions::default() },
                r#"{"progress":"s7"}"#,
            ),
            (
                SentExtensions {
                    timeout,
                    progress: true,
                    window: Some(9),
                    resume: Some(&Resume::FromNow),
                },
                r#"{"timeout":1500,"progress":"s7","window":9,"resume":true}"#,
            ),
            (
                SentExtensions { resume: Some(&after), ..SentExtensions::default() },
                r#"{"resume":{"epoch":"e1","offset":41}}"#,
            ),
        ] {
            let mut out = Vec::new();
            extensions.write(&mut out, |out| out.extend_from_slice(b"\"s7\""));
            let out = String::from_utf8(out).unwrap();
            let json = out.strip_prefix(",\"wsjsonrpc\":").unwrap_or_default();
            assert_eq!(json, expected);
            let extra = ReceivedExtensions {
                timeout: extensions.timeout,
                progress: extensions.progress.then(|| "\"s7\"".into()),
                window: extensions.window,
                resume: extensions.resume.cloned().map(Box::new),
            };
            assert_eq!(ReceivedExtensions::read(json), extra);
        }
    }

    #[test]
    fn progress_is_read() {
        let text = String::from_utf8(progress("\"s7\"", &[1, 2]).unwrap()).unwrap();
        let params = r#"{"token":"s7","value":[1,2]}"#;
        let whole = format!(r#"{{"jsonrpc":"2.0","method":"{PROGRESS}","params":{params}}}"#);
        assert_eq!(text, whole);
        assert_eq!(progressed(params), Some(("\"s7\"", "[1,2]")));
        let spaced = r#"{ "value" : null, "token" : 7 , "more": 0 }"#;
        assert_eq!(progressed(spaced), Some(("7", "null")));
        for params in ["[]", r#"{"token":1}"#, r#"{"value":1}"#] {
            assert_eq!(progressed(params), None, "{params}");
        }
    }

    #[test]
    fn what_is_not_understood_counts_as_missing() {
        for json in [
            "null",
            "7",
            "[]",
            r#"{"timeout":-1,"progress":null,"window":1.5,"more":[]}"#,
            r#"{"timeout":"1","progress":{},"window":"x"}"#,
            r#"{"timeout":99999999999999999999}"#,
            r#"{"resume":false}"#,
            r#"{"resume":{"epoch":"e1"}}"#,
            r#"{"resume":{"epoch":1,"offset":2}}"#,
            r#"{"resume":{"epoch":"e1","offset":-1}}"#,
        ] {
            assert_eq!(ReceivedExtensions::read(json), ReceivedExtensions::default(), "{json}");
        }
        let long = format!("{{\"progress\":\"{}\"}}", "x".repeat(MAX_TOKEN));
        assert_eq!(ReceivedExtensions::read(&long), ReceivedExtensions::default());
        let extra = ReceivedExtensions::read(r#"{ "window" : 5, "timeout" : 7 }"#);
        assert_eq!((extra.window, extra.timeout), (Some(5), Some(Duration::from_millis(7))));
    }
}
