//! Writes messages: requests ([`OutgoingMessage`]), notifications, responses, batches. All output
//! is valid UTF-8, in the member order of the specification's examples: `jsonrpc`, `method` and
//! `params` or `result` or `error`, `id`.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use serde::Serialize;

use super::error::ErrorObject;
use super::id::Id;
use super::progress_queue::ProgressQueue;
use super::request_extensions::SentExtensions;
use super::text;

/// The start of every successful response; the result and [`end_response`] follow.
const RESULT: &[u8] = b"{\"jsonrpc\":\"2.0\",\"result\":";

/// The start of every request.
const BEGIN: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":";

/// The text before the params.
const PARAMS: &[u8] = b",\"params\":";

/// The text of a successful response up to its id.
pub(crate) fn begin_result<T: Serialize + ?Sized>(result: &T) -> serde_json::Result<Vec<u8>> {
    let mut out = buffer::take();
    out.extend_from_slice(RESULT);
    serde_json::to_writer(&mut out, result)?;
    Ok(out)
}

/// The result in a text from [`begin_result`].
pub(crate) fn result_in(text: &[u8]) -> Option<&str> {
    text.get(RESULT.len()..).and_then(|json| std::str::from_utf8(json).ok())
}

/// Appends a whole error response.
pub(crate) fn error_response(out: &mut Vec<u8>, error: &ErrorObject, id: &Id) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"error\":");
    error.write(out);
    end_response(out, id);
}

/// Completes a response with its id.
pub(crate) fn end_response(out: &mut Vec<u8>, id: &Id) {
    out.extend_from_slice(b",\"id\":");
    id.write(out);
    out.push(b'}');
}

/// A notification whose params are an object with a single member. `write_value` appends the
/// member's value as JSON.
pub(crate) fn notification(
    method: &str,
    member: &[u8],
    write_value: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut out = buffer::take();
    out.extend_from_slice(BEGIN);
    text::write(&mut out, method);
    out.extend_from_slice(b",\"params\":{\"");
    out.extend_from_slice(member);
    out.extend_from_slice(b"\":");
    write_value(&mut out);
    out.extend_from_slice(b"}}");
    out
}

/// Joins messages into one array.
pub(crate) fn array<'a>(messages: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![b'['];
    for message in messages {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(message);
    }
    out.push(b']');
    out
}

/// A call with this many arguments or more cannot be sent by name.
const MOST: u8 = u8::MAX;

/// A request before it is sent, without its id.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingMessage {
    pub(crate) method: Cow<'static, str>,
    /// The message up to the closing brace.
    text: Vec<u8>,
    /// The wire names of the parameters, for sending them by name.
    names: &'static [&'static str],
    /// The position in `text` where the params member starts, with its comma; the end if there is
    /// none.
    params: u32,
    form: Form,
    /// How many arguments were written; at most [`MOST`].
    count: u8,
    /// 0 if nulls are sent. If nulls are omitted, 1 plus the number of omitted nulls: all nulls of
    /// an object, or those after the last argument of a list.
    omitted: u8,
    /// Whether the call may be sent again if it is unknown whether the first attempt was handled.
    pub(crate) idempotent: bool,
    /// The queue for progress values, if the caller wants them.
    pub(crate) progress: Option<Arc<ProgressQueue>>,
}

/// How arguments are laid out in `params`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A list, in the order of the signature.
    Positional,
    /// An object with the parameters' names.
    Named,
    /// The only argument is the whole of `params`.
    Whole,
}

/// Why a call could not be written.
#[derive(Debug)]
pub(crate) enum EncodeError {
    Json(serde_json::Error),
    /// `params` as a whole must be a list or an object.
    Scalar,
    /// The call should be sent by name, but the names are not known.
    Nameless,
}

impl OutgoingMessage {
    #[inline]
    pub(crate) fn new(
        method: Cow<'static, str>,
        form: Form,
        names: &'static [&'static str],
    ) -> Self {
        let mut text = buffer::take();
        text.extend_from_slice(BEGIN);
        text::write(&mut text, &method);
        // A longer text exceeds every limit.
        let params = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let (count, omitted, idempotent, progress) = Default::default();
        OutgoingMessage { method, text, names, params, form, count, omitted, idempotent, progress }
    }

    /// The position in `text` where the params start.
    fn start(&self) -> usize {
        self.params as usize
    }

    /// The number of omitted nulls.
    fn nulls(&self) -> u8 {
        self.omitted.saturating_sub(1)
    }

    /// The index of the next argument. `None` if there are too many arguments.
    fn place(&self) -> Option<usize> {
        let place = usize::from(self.count) + usize::from(self.nulls());
        (place < usize::from(MOST)).then_some(place)
    }

    /// The call that ends a subscription; its id is JSON.
    pub(crate) fn unsubscribe(method: Cow<'static, str>, id: &str) -> Self {
        let mut outgoing = Self::new(method, Form::Whole, &[]);
        outgoing.text.extend_from_slice(b",\"params\":[");
        outgoing.text.extend_from_slice(id.as_bytes());
        outgoing.text.push(b']');
        outgoing
    }

    /// Appends one argument.
    pub(crate) fn arg<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.separate()?;
        let start = self.text.len();
        serde_json::to_writer(&mut self.text, value).map_err(EncodeError::Json)?;
        self.check_whole(start)
    }

    /// Like [`arg`](Self::arg), but omits null. In a list, a null is omitted only if no other
    /// argument follows.
    pub(crate) fn arg_unless_null<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.omitted = self.omitted.max(1);
        let json = serde_json::value::to_raw_value(value).map_err(EncodeError::Json)?;
        self.raw_unless_null(json.get())
    }

    fn raw_unless_null(&mut self, json: &str) -> Result<(), EncodeError> {
        if json == "null" {
            self.omitted = self.omitted.saturating_add(1);
            return Ok(());
        }
        if self.form == Form::Positional {
            for _ in 1..std::mem::replace(&mut self.omitted, 1) {
                self.separate()?;
                self.text.extend_from_slice(b"null");
            }
        }
        self.separate()?;
        self.text.extend_from_slice(json.as_bytes());
        Ok(())
    }

    fn separate(&mut self) -> Result<(), EncodeError> {
        let open: &[u8] = match (self.form, self.count) {
            (Form::Positional, 0) => b",\"params\":[",
            (Form::Named, 0) => b",\"params\":{",
            (Form::Whole, _) => b",\"params\":",
            _ => b",",
        };
        self.text.extend_from_slice(open);
        if self.form == Form::Named {
            let place = self.place().ok_or(EncodeError::Nameless)?;
            let name = self.names.get(place).ok_or(EncodeError::Nameless)?;
            text::write(&mut self.text, name);
            self.text.push(b':');
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Checks params that are written as a whole: they must be a list or an object, and null means
    /// no params.
    fn check_whole(&mut self, start: usize) -> Result<(), EncodeError> {
        if self.form != Form::Whole {
            return Ok(());
        }
        match self.text.get(start) {
            Some(b'[' | b'{') => Ok(()),
            Some(b'n') => {
                self.text.truncate(self.start());
                Ok(())
            }
            _ => Err(EncodeError::Scalar),
        }
    }

    /// Closes the params.
    pub(crate) fn end_args(&mut self) {
        match (self.form, self.count) {
            (Form::Whole, _) | (_, 0) => {}
            (Form::Positional, _) => self.text.push(b']'),
            (Form::Named, _) => self.text.push(b'}'),
        }
    }

    /// Converts params by position to params by name.
    pub(crate) fn name_args(&mut self) -> Result<(), EncodeError> {
        let params = self.text.get(self.start() + PARAMS.len()..).unwrap_or_default();
        if self.form == Form::Named || params.first() != Some(&b'[') {
            return Ok(());
        }
        // An untyped call has no names.
        if Some(self.names.len()) != self.place() {
            return Err(EncodeError::Nameless);
        }
        let list = self.text.split_off(self.start());
        let list = list.get(PARAMS.len()..).unwrap_or_default();
        let values: Vec<&serde_json::value::RawValue> =
            serde_json::from_slice(list).map_err(EncodeError::Json)?;
        self.form = Form::Named;
        (self.count, self.omitted) = (0, self.omitted.min(1));
        for value in values {
            if self.omitted > 0 {
                self.raw_unless_null(value.get())?;
            } else {
                self.separate()?;
                self.text.extend_from_slice(value.get().as_bytes());
            }
        }
        self.end_args();
        Ok(())
    }

    /// The message as a notification.
    pub(crate) fn into_notification(mut self) -> Vec<u8> {
        self.text.push(b'}');
        self.text
    }

    /// The params as JSON, after all arguments are written.
    pub(crate) fn params(&self) -> Option<&str> {
        let params = self.text.get(self.start() + PARAMS.len()..)?;
        std::str::from_utf8(params).ok()
    }

    /// Replaces the params.
    pub(crate) fn set_params<T: Serialize + ?Sized>(
        &mut self,
        params: &T,
    ) -> Result<(), EncodeError> {
        self.text.truncate(self.start());
        (self.form, self.count, self.omitted) = (Form::Whole, 0, 0);
        let written = self.arg(params);
        if written.is_err() {
            self.text.truncate(self.start());
        }
        written
    }

    /// The message as a request. `write_id` appends the id as JSON. `write_more` appends members
    /// before the id, each with its comma.
    #[inline]
    pub(crate) fn into_request(
        mut self,
        extensions: &SentExtensions<'_>,
        write_more: impl FnOnce(&mut Vec<u8>),
        write_id: impl Fn(&mut Vec<u8>),
    ) -> Vec<u8> {
        extensions.write(&mut self.text, &write_id);
        write_more(&mut self.text);
        self.text.extend_from_slice(b",\"id\":");
        write_id(&mut self.text);
        self.text.push(b'}');
        self.text
    }
}

impl From<EncodeError> for io::Error {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Json(error) => io::Error::new(io::ErrorKind::InvalidInput, error),
            EncodeError::Scalar => io::Error::new(
                io::ErrorKind::InvalidInput,
                "params must serialize to a list or an object; wrap a single value as `(value,)`",
            ),
            EncodeError::Nameless => io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot send the call by name, because the parameter names are not known: pass a \
                 struct or a map",
            ),
        }
    }
}

/// Keeps one spare buffer for each thread, for messages that are written, copied and dropped.
pub(crate) mod buffer {
    use std::cell::Cell;

    /// Larger buffers are not kept.
    const MAX_SIZE: usize = 4 * 1024;

    thread_local! {
        static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    /// An empty buffer, with space for a usual message.
    pub(crate) fn take() -> Vec<u8> {
        // A thread that is ending has no spare buffer.
        let spare = SPARE.try_with(Cell::take).unwrap_or_default();
        if spare.capacity() == 0 { Vec::with_capacity(128) } else { spare }
    }

    /// Keeps a buffer for the next message.
    pub(crate) fn give_back(mut buffer: Vec<u8>) {
        if buffer.capacity() <= MAX_SIZE {
            buffer.clear();
            // In a thread that is ending, the buffer is dropped.
            let _ = SPARE.try_with(|spare| spare.set(buffer));
        }
    }

    /// Frees unused capacity of a large text, which grew by doubling. Limits count only the length
    /// of a text.
    #[inline(never)]
    pub(crate) fn trim(text: &mut Vec<u8>) {
        if text.capacity() - text.len() > text.len() / 4 {
            text.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(form: Form, args: &[i32]) -> OutgoingMessage {
        let mut outgoing = OutgoingMessage::new("m\"".into(), form, &["a", "b"]);
        for arg in args {
            outgoing.arg(arg).unwrap();
        }
        outgoing.end_args();
        outgoing
    }

    fn notification(outgoing: OutgoingMessage) -> String {
        String::from_utf8(outgoing.into_notification()).unwrap()
    }

    #[test]
    fn params_in_every_form() {
        let cases = [
            (Form::Positional, &[][..], r#"{"jsonrpc":"2.0","method":"m\""}"#),
            (Form::Positional, &[1, 2], r#"{"jsonrpc":"2.0","method":"m\"","params":[1,2]}"#),
            (Form::Named, &[1, 2], r#"{"jsonrpc":"2.0","method":"m\"","params":{"a":1,"b":2}}"#),
        ];
        for (form, args, expected) in cases {
            assert_eq!(notification(request(form, args)), expected);
        }
    }

    #[test]
    fn nulls_are_left_out_where_nothing_depends_on_their_place() {
        let request = |form, by_name, args: [Option<u8>; 3]| {
            let mut outgoing = OutgoingMessage::new("m".into(), form, &["a", "b", "c"]);
            for arg in args {
                outgoing.arg_unless_null(&arg).unwrap();
            }
            outgoing.end_args();
            if by_name {
                outgoing.name_args().unwrap();
            }
            outgoing.params().map(str::to_owned)
        };
        for (args, list, object) in [
            ([Some(1), None, None], Some("[1]"), Some(r#"{"a":1}"#)),
            ([None, None, Some(3)], Some("[null,null,3]"), Some(r#"{"c":3}"#)),
            ([Some(1), None, Some(3)], Some("[1,null,3]"), Some(r#"{"a":1,"c":3}"#)),
            ([None, Some(2), None], Some("[null,2]"), Some(r#"{"b":2}"#)),
            ([None, None, None], None, None),
        ] {
            assert_eq!(request(Form::Positional, false, args).as_deref(), list);
            assert_eq!(request(Form::Positional, true, args).as_deref(), object);
            assert_eq!(request(Form::Named, false, args).as_deref(), object);
        }
    }

    #[test]
    fn by_name_after_the_fact() {
        let mut outgoing = request(Form::Positional, &[1, 2]);
        outgoing.name_args().unwrap();
        outgoing.name_args().unwrap();
        let text = outgoing.into_request(
            &SentExtensions::default(),
            |_| {},
            |out| out.extend_from_slice(b"7"),
        );
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"jsonrpc":"2.0","method":"m\"","params":{"a":1,"b":2},"id":7}"#
        );
    }

    #[test]
    fn whole_params_are_a_list_an_object_or_nothing() {
        let mut outgoing = OutgoingMessage::new("m".into(), Form::Whole, &[]);
        outgoing.arg(&()).unwrap();
        assert_eq!(notification(outgoing), r#"{"jsonrpc":"2.0","method":"m"}"#);
        let mut outgoing = OutgoingMessage::new("m".into(), Form::Whole, &[]);
        outgoing.arg(&("x",)).unwrap();
        assert_eq!(notification(outgoing), r#"{"jsonrpc":"2.0","method":"m","params":["x"]}"#);
        let mut outgoing = OutgoingMessage::new("m".into(), Form::Whole, &[]);
        assert!(matches!(outgoing.arg("x"), Err(EncodeError::Scalar)));
    }
}
