//! Middleware that records calls.

use std::sync::{Arc, Mutex};

use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::service::{Request, Response};
use wsjsonrpc::{Context, async_trait};

/// Records each call and its outcome as a line, and passes the call on. Clones share the lines.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    /// The lines since the last `take`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Adds a line.
    pub fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

#[async_trait]
impl Middleware for Record {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        let kind = if request.is_notification() { "notification" } else { "request" };
        let registered = next.method().unwrap_or("-").to_owned();
        let params = request.params().json().unwrap_or("-").to_owned();
        self.add(format!("{kind} {} {registered} {params}", request.method()));
        let response = next.run(request).await;
        self.add(match (response.error(), response.result()) {
            (Some(error), _) => format!("{} {}", error.code(), error.message()),
            (None, Some(result)) => result.to_owned(),
            (None, None) => "nothing".to_owned(),
        });
        response
    }
}
