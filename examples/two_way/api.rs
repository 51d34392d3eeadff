//! The contracts of the two programs. Both compile this file.

use wsjsonrpc::{Context, Result, rpc};

/// What clients call on the server.
#[rpc(namespace = "deployment")]
pub(crate) trait Deployments {
    /// Deploys a version and returns its number. Before that, the server asks the caller to confirm.
    ///
    /// With `cancel = "drop"` the server drops the handler when the client gives up or disconnects.
    #[method(cancel = "drop")]
    async fn deploy(&self, ctx: &Context, version: &str) -> Result<u64>;
}

/// What the server calls on a client.
#[rpc(namespace = "operator")]
pub(crate) trait Operator {
    /// Asks a question. The server waits for the answer.
    async fn confirm(&self, ctx: &Context, question: &str) -> Result<bool>;

    /// Reports what happens. The server sends it as a notification.
    async fn report(&self, ctx: &Context, line: &str) -> Result<()>;
}
