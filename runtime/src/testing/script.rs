//! The answers of a recorder: a list for each method, whose last entry is repeated.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::incoming::service::{Outcome, Params, Request};
use crate::protocol::error::{ErrorCode, ErrorObject, Result};

type Handler = dyn Fn(Params<'_>) -> Result<Box<RawValue>> + Send + Sync;

/// The answers of all methods.
#[derive(Default)]
pub(super) struct Script(HashMap<String, VecDeque<ScriptedAnswer>>);

#[derive(Clone)]
pub(super) enum ScriptedAnswer {
    Result(Arc<RawValue>),
    Error(ErrorObject),
    With(Arc<Handler>),
    Never,
}

impl Script {
    pub(super) fn add(&mut self, method: String, answer: ScriptedAnswer) {
        self.0.entry(method).or_default().push_back(answer);
    }

    /// The answer to the next call of this method.
    pub(super) fn next(&mut self, method: &str) -> ScriptedAnswer {
        let answers = self.0.get_mut(method);
        let next = answers.and_then(|answers| match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
        next.unwrap_or_else(|| {
            let words = format!(
                "this recorder has no answer for `{method}`; add one with \
                 `.answer(\"{method}\", …)`, `.answer_with`, `.fail` or `.hang`"
            );
            ScriptedAnswer::Error(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, words))
        })
    }
}

impl ScriptedAnswer {
    pub(super) fn give(self, request: Request) -> Outcome {
        match self {
            ScriptedAnswer::Result(result) => {
                Outcome::ready(|| request.reply::<Result<_>>(Ok(&*result)))
            }
            ScriptedAnswer::Error(error) => Outcome::ready(|| request.fail(error)),
            ScriptedAnswer::With(handler) => {
                Outcome::ready(|| request.reply(handler(request.params())))
            }
            // A notification that never ends could neither be observed nor be stopped.
            ScriptedAnswer::Never if request.is_notification() => {
                Outcome::ready(|| request.reply::<Result<()>>(Ok(())))
            }
            // The handler ends when the connection closes.
            ScriptedAnswer::Never => {
                let caller = request.caller();
                Outcome::future(pending()).droppable(&caller)
            }
        }
    }
}
