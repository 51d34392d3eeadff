//! Authorization by the application: the hook [`Authorize`], and the [`Grant`] that it returns.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::error::{Causes, Remote};
use crate::handshake::Handshake;
use crate::handshake::refusal::Refusal;
use crate::protocol::request_extensions::HEADER;
use crate::util::catch_unwind::{CatchUnwind, Panicked};
use crate::util::identity::Identity;
use crate::util::runtime::timeout_at;
use crate::util::type_map::TypeMap;

/// Decides before a connection opens whether to accept a client, and as whom.
///
/// Passed to [`ServerBuilder::authorize`](crate::server::ServerBuilder::authorize);
/// [`authorize_fn`](crate::server::ServerBuilder::authorize_fn) takes a closure instead. The hook
/// runs after all other checks of the handshake, the `Origin` check included, and within
/// [`Config::handshake_timeout`](crate::Config::handshake_timeout). While it runs, only this client
/// waits.
///
/// ```
/// use wsjsonrpc::{Client, Context, Server};
/// use wsjsonrpc::error::ConnectError;
/// use wsjsonrpc::server::{Authorize, Grant, Handshake, Refusal};
/// use wsjsonrpc::async_trait;
///
/// struct User(String);
/// struct Sessions; // for example, a database
///
/// #[async_trait]
/// impl Authorize for Sessions {
///     async fn authorize(&self, handshake: Handshake) -> Result<Grant, Refusal> {
///         match handshake.cookie("session") {
///             Some("s3cr3t") => Ok(Grant::new().set(User("Ada".to_owned()))),
///             Some(_) => Err(Refusal::forbidden("this session is over")),
///             None => Err(Refusal::unauthorized("log in first")),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .authorize(Sessions)
///     .method("whoami", |ctx: Context, ()| async move { Ok(ctx.require::<User>()?.0.clone()) })
///     .bind("127.0.0.1:0")
///     .await?;
/// let url = server.url();
/// tokio::spawn(server.run());
///
/// let ada = Client::builder().header("cookie", "session=s3cr3t").connect(&url).await?;
/// assert_eq!(ada.peer().call::<String>("whoami", ()).await?, "Ada");
///
/// let Err(ConnectError::Refused { status, .. }) = Client::connect(&url).await else { panic!() };
/// assert_eq!(status, 401);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Authorize: Send + Sync + 'static {
    /// Accepts or refuses one client. If the hook panics, the panic is logged and the client gets
    /// HTTP status 500.
    ///
    /// # Errors
    /// The [`Refusal`] with which the client is refused.
    ///
    /// # Cancel safety
    /// The future is dropped when the handshake times out. A client that disconnects does not
    /// cancel it; the grant is then dropped. In a web application (`Endpoint::http_service`), the
    /// HTTP server may drop the future when the client disconnects.
    async fn authorize(&self, handshake: Handshake) -> Result<Grant, Refusal>;
}

#[async_trait]
impl<A: Authorize + ?Sized> Authorize for Arc<A> {
    async fn authorize(&self, handshake: Handshake) -> Result<Grant, Refusal> {
        (**self).authorize(handshake).await
    }
}

/// What a client gets that is accepted: values and identities for its connection, and response
/// headers.
///
/// ```
/// use http::{HeaderValue, header::SET_COOKIE};
/// use wsjsonrpc::server::Grant;
///
/// struct User(String);
///
/// let grant = Grant::new()
///     .set(User("Ada".to_owned())) // handlers: ctx.get::<User>()
///     .header(SET_COOKIE, HeaderValue::from_static("session=n3w; HttpOnly"));
/// # drop(grant);
/// ```
#[derive(Default)]
#[must_use = "a grant has no effect until the hook returns it"]
pub struct Grant {
    pub(crate) state: TypeMap,
    pub(crate) headers: HeaderMap,
    pub(crate) identities: Vec<Identity>,
}

impl Grant {
    /// Accepts the client, without values or headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value on the connection, one for each type. Handlers read it with
    /// [`Context::get`](crate::Context::get) and [`require`](crate::Context::require).
    pub fn set<T: Send + Sync + 'static>(self, value: T) -> Self {
        drop(self.state.set(value));
        self
    }

    /// Says whose connection this will be, so that
    /// [`Endpoint::connections_of`](crate::Endpoint::connections_of) finds it by this key. A later
    /// key of the same type replaces this one; see
    /// [`Context::identify`](crate::Context::identify). No effect on an HTTP POST, which has no
    /// connection.
    ///
    /// ```
    /// use wsjsonrpc::server::Grant;
    ///
    /// #[derive(PartialEq, Eq, Hash)]
    /// struct UserId(u64);
    ///
    /// let grant = Grant::new().identify(UserId(7));
    /// # drop(grant);
    /// ```
    pub fn identify<K: Eq + Hash + Send + Sync + 'static>(mut self, key: K) -> Self {
        self.identities.push(Identity::new(key));
        self
    }

    /// Adds a header to the response, such as `Set-Cookie`. Headers that the opening handshake sets
    /// itself are ignored.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if !RESERVED.contains(&name) {
            self.headers.append(name, value);
        }
        self
    }
}

/// Response headers that the handshake sets itself.
const RESERVED: [HeaderName; 8] = [
    CONNECTION,
    UPGRADE,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL,
    HeaderName::from_static(HEADER),
    // RFC 9110, section 8.6, and RFC 9112, section 6.1: not in a 1xx response.
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
];

/// Leaves out the values of headers, which may be secret.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("state", &self.state)
            .field("headers", &self.headers.keys())
            .field("identities", &self.identities.len())
            .finish()
    }
}

/// A closure as an authorization hook.
pub(crate) struct AuthorizeFn<H>(pub(crate) H);

#[async_trait]
impl<H, F> Authorize for AuthorizeFn<H>
where
    H: Fn(Handshake) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Grant, Refusal>> + Send + 'static,
{
    async fn authorize(&self, handshake: Handshake) -> Result<Grant, Refusal> {
        (self.0)(handshake).await
    }
}

/// Calls the hook. A failure inside the hook is logged, and not reported to the client.
pub(crate) async fn ask(
    hook: &dyn Authorize,
    handshake: &Handshake,
    deadline: Instant,
) -> Result<Grant, Refusal> {
    let remote = &Remote(handshake.remote_addr);
    let asking = CatchUnwind::new(Box::pin(async {
        let answer = hook.authorize(handshake.clone()).await;
        if let Some(error) = answer.as_ref().err().and_then(Refusal::source) {
            let error = Causes(error);
            tracing::error!(%remote, %error, "`Authorize` hook failed; client refused");
        }
        answer
    }));
    let asking = async {
        asking.await.unwrap_or_else(|Panicked| {
            tracing::error!(%remote, "`Authorize` hook panicked; client refused");
            Err(Refusal::internal())
        })
    };
    timeout_at(deadline, pin!(asking)).await.unwrap_or_else(|_| {
        tracing::error!(%remote, "`Authorize` hook exceeded `Config::handshake_timeout`");
        let words = "the server did not authorize this connection in time; try again later";
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words))
    })
}
