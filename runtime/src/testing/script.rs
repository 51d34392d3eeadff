//! What a recorder answers: for each method a list, of which the last entry stays.
//!
//! Must not know what is recorded.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::incoming::service::{Outcome, Params, Request};
use crate::protocol::error::{ErrorCode, ErrorObject, Result};

type Handler = dyn Fn(Params<'_>) -> Result<Box<RawValue>> + Send + Sync;

/// Answers for all methods.
#[derive(Default)]
pub(super) struct Script(HashMap<String, VecDeque<Answer>>);

#[derive(Clone)]
pub(super) enum Answer {
    Result(Arc<RawValue>),
    Error(ErrorObject),
    With(Arc<Handler>),
    Never,
}

impl Script {
    pub(super) fn add(&mut self, method: String, answer: Answer) {
        self.0.entry(method).or_default().push_back(answer);
    }

    /// The answer to the next call of this method.
    pub(super) fn next(&mut self, method: &str) -> Answer {
        let answers = self.0.get_mut(method);
        let next = answers.and_then(|answers| match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
        next.unwrap_or_else(|| {
            let words = format!(
                "this recorder has no answer for `{method}`: give it one with \
                 `.answer(\"{method}\", …)`, `.answer_with`, `.fail` or `.hang`"
            );
            Answer::Error(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, words))
        })
    }
}

impl Answer {
    pub(super) fn give(self, request: Request) -> Outcome {
        match self {
            Answer::Result(result) => Outcome::ready(|| request.reply::<Result<_>>(Ok(&*result))),
            Answer::Error(error) => Outcome::ready(|| request.fail(error)),
            Answer::With(handler) => Outcome::ready(|| request.reply(handler(request.params()))),
            // Nobody would see that it goes on, nor could end it.
            Answer::Never if request.is_notification() => {
                Outcome::ready(|| request.reply::<Result<()>>(Ok(())))
            }
            // Nor does anybody wait for it when the connection is closed.
            Answer::Never => {
                let caller = request.caller();
                Outcome::future(pending()).droppable(&caller)
            }
        }
    }
}
