//! Makes a client's connections. [`Dialer`] connects and does the opening handshake, [`Connector`]
//! does the handshake over a given stream, and [`Hooks`] are the application's closures. `session`
//! and `reconnect` decide when to connect.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::client::addresses;
use crate::client::session::ConnectionState;
use crate::config::Config;
use crate::connection::{ConnectionTask, Setup};
use crate::error::Error;
use crate::error::connect_error::ConnectError;
use crate::handshake::Handshake;
use crate::handshake::open::{RESERVED, open};
#[cfg(feature = "tls")]
use crate::handshake::tls::{self, Trust};
use crate::handshake::url::Target;
#[cfg(feature = "tls")]
use crate::handshake::url::{host, is_secure};
use crate::incoming::router::Router;
use crate::link::Link;
use crate::link::pending_calls::Side;
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorCode, ErrorObject, Result as RpcResult};
use crate::util::BoxFuture;
use crate::util::catch_unwind::{catch_unwind, catch_unwind_async, drop_contained};
use crate::util::race::{Either, race};
use crate::util::runtime::{self, with_io};
use crate::websocket::stream::Stream;
use crate::websocket::transport::Transport;

/// A server that is bound but does not run accepts TCP connections, and then sends nothing.
const IS_IT_RUN: &str =
    "is the server running? (`Server::run` does nothing until it is awaited or spawned)";

type StateHook = Box<dyn Fn(&ConnectionState) + Send + Sync>;
type Hook<A, T> = Box<dyn Fn(A) -> BoxFuture<T> + Send + Sync>;

/// The application's closures for each connection.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) headers: Option<Hook<(), RpcResult<HeaderMap>>>,
    pub(crate) on_connect: Option<Hook<Peer, RpcResult<()>>>,
    pub(crate) on_state: Option<StateHook>,
}

impl Drop for Hooks {
    fn drop(&mut self) {
        drop_contained(self.headers.take(), "the `headers_with` closure");
        drop_contained(self.on_connect.take(), "the `on_connect` closure");
        drop_contained(self.on_state.take(), "the `on_state` closure");
    }
}

impl Hooks {
    /// Reports a state of a reconnecting client to the application.
    pub(crate) fn tell(&self, state: &ConnectionState) {
        if let Some(hook) = &self.on_state {
            if catch_unwind(|| hook(state)).is_err() {
                tracing::error!("the `on_state` closure panicked");
            }
        }
    }
}

/// How a stream is made.
pub(crate) enum Source {
    Tcp,
    #[cfg(unix)]
    Unix(PathBuf),
    Other(Hook<(), io::Result<Stream>>),
}

/// A client that is ready except for its stream.
pub(crate) struct Connector {
    pub(crate) router: Arc<Router>,
    pub(crate) config: Arc<Config>,
    pub(crate) headers: HeaderMap,
    pub(crate) hooks: Hooks,
    #[cfg(feature = "tls")]
    pub(crate) trust: Trust,
}

/// An open connection of a client. It closes when this is dropped.
pub(crate) struct Opened {
    pub(crate) peer: Peer,
    pub(crate) link: Arc<Link>,
    pub(crate) handshake: Arc<Handshake>,
}

impl Connector {
    /// Does the opening handshake over a stream, within [`Config::handshake_timeout`].
    pub(crate) async fn open_in_time(
        &self,
        target: &Target,
        stream: Stream,
    ) -> Result<Opened, ConnectError> {
        runtime::check().map_err(ConnectError::Io)?;
        let (mut waiting_for, limit) = (String::new(), self.config.handshake_timeout);
        let opening = self.open(target, stream, None, &mut waiting_for);
        let opened = runtime::timeout(limit, pin!(opening)).await;
        opened.unwrap_or_else(|_| Err(ConnectError::Timeout { waiting_for, after: limit }))
    }

    /// Does the opening handshake over a stream. `waiting_for` always names the current step.
    #[cfg_attr(not(feature = "tls"), allow(unused_mut))]
    async fn open(
        &self,
        target: &Target,
        mut stream: Stream,
        remote_addr: Option<SocketAddr>,
        waiting_for: &mut String,
    ) -> Result<Opened, ConnectError> {
        "the `headers_with` closure".clone_into(waiting_for);
        let fresh = self.fresh_headers().await?;
        let request = fresh.as_ref().unwrap_or(&self.headers);
        let uri = &target.uri;
        #[cfg(feature = "tls")]
        if is_secure(uri) {
            *waiting_for = format!("the server's TLS handshake; {IS_IT_RUN}");
            stream = tls::connect(stream, host(uri), self.trust.clone()).await?;
        }
        *waiting_for = format!("the server's response to the WebSocket handshake; {IS_IT_RUN}");
        let max_head = self.config.max_handshake_size;
        let (headers, subprotocol, part) = open(&mut stream, target, request, max_head).await?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let extensions = stream.extensions();
        let handshake = Handshake { target, subprotocol, headers, remote_addr, extensions };
        let transport = Transport::new(stream, part, Role::Client, &self.config);
        Ok(self.start(transport, handshake))
    }

    /// Starts the connection's task.
    pub(crate) fn start(&self, transport: Transport, handshake: Handshake) -> Opened {
        let setup = Setup {
            side: Side::Client,
            config: Arc::clone(&self.config),
            router: Arc::clone(&self.router),
            handshake: handshake.clone(),
            tracker: None,
            permit: None,
            index: None,
            gate: None,
        };
        let connection = ConnectionTask::new(transport, setup);
        let link = Arc::clone(connection.link());
        tokio::spawn(connection);
        let peer = Peer::keeping(Arc::clone(&link));
        Opened { peer, link, handshake: Arc::new(handshake) }
    }

    /// Runs the application's hook on a new connection, until the hook finishes or the connection
    /// ends.
    pub(crate) async fn run_on_connect(&self, opened: &Opened) -> Result<(), ConnectError> {
        let Some(hook) = &self.hooks.on_connect else { return Ok(()) };
        // This handle does not keep the connection open, because a hook may store it.
        let peer = Peer::new(Arc::clone(&opened.link));
        match race(pin!(catch_unwind_async(|| hook(peer))), pin!(opened.link.closed())).await {
            Either::Left(outcome) => settle(outcome),
            Either::Right(reason) => {
                Err(ConnectError::Hook(ErrorObject::from(Error::<ErrorObject>::Closed(reason))))
            }
        }
    }

    /// The headers, including those that the application provides anew for each connection.
    async fn fresh_headers(&self) -> Result<Option<HeaderMap>, ConnectError> {
        let Some(hook) = &self.hooks.headers else { return Ok(None) };
        let fresh = settle(catch_unwind_async(|| hook(())).await)?;
        let mut headers = self.headers.clone();
        headers.extend(fresh);
        Ok(Some(headers))
    }
}

/// Converts the outcome of a hook.
fn settle<T, P>(outcome: Result<RpcResult<T>, P>) -> Result<T, ConnectError> {
    outcome
        .unwrap_or_else(|_| {
            Err(ErrorObject::new(ErrorCode::INTERNAL_ERROR, "the closure panicked"))
        })
        .map_err(ConnectError::Hook)
}

/// Everything needed to connect, any number of times.
pub(crate) struct Dialer {
    pub(crate) ready: Connector,
    pub(crate) target: Target,
    pub(crate) source: Source,
}

impl Dialer {
    /// Makes one attempt, without the hook.
    pub(crate) async fn dial(&self) -> Result<Opened, ConnectError> {
        runtime::check().map_err(ConnectError::Io)?;
        let limit = self.ready.config.handshake_timeout;
        let mut waiting_for = String::new();
        let dialing = async {
            let stream = self.stream(&mut waiting_for).await;
            let (stream, remote_addr) = stream.map_err(ConnectError::Io)?;
            self.ready.open(&self.target, stream, remote_addr, &mut waiting_for).await
        };
        let dialed = runtime::timeout(limit, pin!(dialing)).await;
        dialed.unwrap_or_else(|_| Err(ConnectError::Timeout { waiting_for, after: limit }))
    }

    async fn stream(&self, waiting_for: &mut String) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.source {
            Source::Tcp => {
                let (host, port) = (self.target.lookup_name(), self.target.port());
                *waiting_for = format!("a TCP connection to {host} on port {port}");
                let stream = with_io(addresses::connect(&host, port)).await?;
                stream.set_nodelay(true)?;
                let remote_addr = stream.peer_addr().ok();
                Ok((Stream::tcp(stream), remote_addr))
            }
            #[cfg(unix)]
            Source::Unix(path) => {
                let name = format!("Unix socket {}", path.display());
                waiting_for.clone_from(&name);
                match with_io(UnixStream::connect(path)).await {
                    Ok(stream) => Ok((Stream::unix(stream), None)),
                    Err(error) => Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
                }
            }
            Source::Other(connector) => {
                "the `connect_with` closure".clone_into(waiting_for);
                let panicked = |_| Err(io::Error::other("the `connect_with` closure panicked"));
                Ok((catch_unwind_async(|| connector(())).await.unwrap_or_else(panicked)?, None))
            }
        }
    }

    /// Whether reconnecting is pointless although there was a connection before: the server rejects
    /// this client's identity. New headers may change that. Other refusals also come from proxies
    /// while a server restarts.
    pub(crate) fn is_unwanted(&self, error: &ConnectError) -> bool {
        matches!(error, ConnectError::Refused { status, .. } if is_unauthorized(*status))
            && self.ready.hooks.headers.is_none()
    }

    /// Whether retrying the first connection is pointless: a setting of this side or of the server
    /// is wrong, and will stay wrong.
    pub(crate) fn is_permanent(&self, error: &ConnectError) -> bool {
        match error {
            ConnectError::Url(_)
            | ConnectError::Header(_)
            | ConnectError::DuplicateMethod(_)
            | ConnectError::Handshake(_) => true,
            ConnectError::Refused { status, .. } if is_unauthorized(*status) => {
                self.is_unwanted(error)
            }
            ConnectError::Refused { status, .. } => !may_change(*status),
            // A server that restarts may break off a handshake.
            ConnectError::Tls(error) => {
                use io::ErrorKind::{InvalidData, InvalidInput, Other};
                matches!(error.kind(), InvalidData | InvalidInput | Other)
            }
            // A Unix socket's file, or what a closure opens, may appear when its server starts.
            ConnectError::Io(error) => {
                let no_host = matches!(self.source, Source::Tcp);
                let kind = error.kind();
                kind == io::ErrorKind::Unsupported || no_host && kind == io::ErrorKind::NotFound
            }
            ConnectError::Timeout { .. } | ConnectError::Hook(_) => false,
        }
    }
}

fn is_unauthorized(status: StatusCode) -> bool {
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status)
}

/// Whether a server may respond with another status to the next attempt.
fn may_change(status: StatusCode) -> bool {
    let permanent = [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED];
    let temporary =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    temporary.contains(&status) || status.is_server_error() && !permanent.contains(&status)
}

/// Adds a header of the application.
///
/// # Errors
/// The header cannot be sent. The message leaves out the value, which may be secret.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    match HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok()) {
        Some((known, _)) if RESERVED.contains(&known) => Err(format!(
            "cannot set header `{name}`: the handshake sets it, or it describes a body; remove it"
        )),
        Some((HOST, _)) if headers.contains_key(HOST) => {
            Err("header `Host` is set twice; set it once".to_owned())
        }
        Some((name, value)) => {
            headers.append(name, value);
            Ok(())
        }
        None => Err(format!("header `{name}` has a name or a value that HTTP does not allow")),
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("headers", &self.headers.is_some())
            .field("on_connect", &self.on_connect.is_some())
            .field("on_state", &self.on_state.is_some())
            .finish()
    }
}
