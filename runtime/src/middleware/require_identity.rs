//! [`RequireIdentity`]: middleware that refuses calls of connections without an identity.

use std::fmt;
use std::marker::PhantomData;

use async_trait::async_trait;

use crate::incoming::context::Context;
use crate::incoming::service::{Request, Response};
use crate::middleware::incoming::{Middleware, Next};
use crate::middleware::scope::{Scope, scope_methods};
use crate::protocol::error::ErrorObject;

/// Middleware that refuses calls with -32001 "Unauthorized" unless the connection has a value of
/// type `T`.
///
/// The value can come from authorization ([`Grant::set`](crate::server::Grant::set)), from an earlier
/// call ([`Context::set`]), or from a layer of the surrounding web application; see
/// [`Context::get`].
///
/// It applies to all methods, including unknown ones, so that clients without an identity do not
/// learn which methods exist. [`methods`](Self::methods) and [`except`](Self::except) restrict it.
/// Calls that end a subscription are always accepted.
///
/// ```
/// # use wsjsonrpc::{Client, memory};
/// use wsjsonrpc::middleware::RequireIdentity;
/// use wsjsonrpc::{Context, Server};
///
/// struct User(String);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(RequireIdentity::<User>::new().except(["login"]))
///     .method("login", |ctx: Context, (name,): (String,)| async move {
///         ctx.set(User(name));
///         Ok(())
///     })
///     .method("orders", |_, ()| async { Ok(["tea"]) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # let peer = client.peer();
/// assert!(peer.call::<Vec<String>>("orders", ()).await.is_err());
/// peer.call::<()>("login", ["Ada"]).await?;
/// assert_eq!(peer.call::<Vec<String>>("orders", ()).await?, ["tea"]);
/// # Ok(())
/// # }
/// ```
pub struct RequireIdentity<T> {
    scope: Scope,
    identity: PhantomData<fn() -> T>,
}

impl<T> RequireIdentity<T> {
    /// Creates the middleware, for all methods.
    pub fn new() -> Self {
        RequireIdentity { scope: Scope::default(), identity: PhantomData }
    }

    scope_methods!();
}

impl<T> Default for RequireIdentity<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl<T: Send + Sync + 'static> Middleware for RequireIdentity<T> {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        if next.is_in(&self.scope, &request) && ctx.get::<T>().is_none() {
            return request.fail(ErrorObject::unauthorized("Unauthorized"));
        }
        next.run(request).await
    }
}

impl<T> fmt::Debug for RequireIdentity<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireIdentity").field("scope", &self.scope).finish()
    }
}
