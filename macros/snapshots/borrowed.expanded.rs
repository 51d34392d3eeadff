// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

pub(crate) trait Hello: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_HelloClient_TO_CALL_AND_impl_Hello_OR_Box_dyn_Service_TO_SERVE: () = ();
    fn greet(
        &self,
        ctx: &Context,
        name: &str,
        greeting: Option<&str>,
        scores: &[f64],
    ) -> impl ::core::future::Future<Output = Result<String>> + ::core::marker::Send;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`HelloService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> HelloService<Self>
    where
        Self: ::core::marker::Sized,
    {
        ::core::convert::From::from(::wsjsonrpc::__private::Arc::new(self))
    }
}
#[allow(
    deprecated,
    non_snake_case,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
impl<T> Hello for ::wsjsonrpc::__private::Arc<T>
where
    T: Hello,
{
    fn greet(
        &self,
        context: &Context,
        name: &str,
        greeting: Option<&str>,
        scores: &[f64],
    ) -> impl ::core::future::Future<Output = Result<String>> + ::core::marker::Send {
        <T as Hello>::greet(&**self, context, name, greeting, scores)
    }
}
/// A typed client: calls the methods of [`Hello`](trait@Hello) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
pub(crate) struct HelloClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl HelloClient {
    /// Creates a client that uses an existing connection: `client.peer()`, `ctx.peer()`.
    #[must_use]
    pub(crate) fn new(
        peer: impl ::core::convert::Into<::wsjsonrpc::__private::Peer>,
    ) -> Self {
        Self {
            peer: ::core::convert::Into::into(peer),
        }
    }
    /// Opens a new connection to `url`, such as `ws://127.0.0.1:8095/`.
    ///
    /// # Errors
    ///
    /// Fails if `url` is invalid, if no server can be reached, or if the server refuses the
    /// WebSocket handshake.
    pub(crate) async fn connect(
        url: &::core::primitive::str,
    ) -> ::core::result::Result<Self, ::wsjsonrpc::__private::ConnectError> {
        match ::wsjsonrpc::__private::Client::connect(url).await {
            ::core::result::Result::Ok(client) => {
                ::core::result::Result::Ok(Self::new(client.peer()))
            }
            ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
        }
    }
    /// Returns the handle to the peer that this client sends its calls through.
    #[must_use]
    pub(crate) fn peer(&self) -> &::wsjsonrpc::__private::Peer {
        &self.peer
    }
    /// Sends several calls in one message.
    pub(crate) fn batch<B: ::wsjsonrpc::__private::IntoBatch>(
        &self,
        calls: B,
    ) -> ::wsjsonrpc::__private::BatchCall<B> {
        self.peer.batch(calls)
    }
}
#[allow(
    dead_code,
    deprecated,
    non_snake_case,
    clippy::fn_params_excessive_bools,
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "they mirror the trait's methods, whether called or not"
)]
impl HelloClient {
    /// Calls `greet`.
    pub(crate) fn greet(
        &self,
        name: &str,
        greeting: Option<&str>,
        scores: &[f64],
    ) -> ::wsjsonrpc::__private::CallOf<Result<String>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "greet",
            ::wsjsonrpc::__private::Form::Positional,
            &["name", "greeting", "scores"],
        );
        encoder.arg::<&str>(&name);
        encoder.arg::<Option<&str>>(&greeting);
        encoder.arg::<&[f64]>(&scores);
        encoder.finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for HelloClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for HelloClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("HelloClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for HelloClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Hello`](trait@Hello).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
pub(crate) struct HelloService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for HelloService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for HelloService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for HelloService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("HelloService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> ::wsjsonrpc::__private::Service for HelloService<T>
where
    T: Hello,
{
    fn methods(
        &self,
    ) -> ::wsjsonrpc::__private::Vec<
        (
            ::wsjsonrpc::__private::Cow<'static, ::core::primitive::str>,
            ::core::primitive::usize,
        ),
    > {
        ::core::convert::From::from([
            (::wsjsonrpc::__private::Cow::Borrowed("greet"), 0usize),
        ])
    }
    fn call(
        &self,
        method: ::core::primitive::usize,
        request: ::wsjsonrpc::__private::Request,
    ) -> ::wsjsonrpc::__private::Outcome {
        match method {
            0usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let mut args = match request.args(&["name", "greeting", "scores"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let name = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let greeting = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let scores = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Hello>::greet(
                            &service,
                            request.context(),
                            ::wsjsonrpc::__private::Arg::get(&name),
                            ::wsjsonrpc::__private::Arg::get(&greeting),
                            ::wsjsonrpc::__private::Arg::get(&scores),
                        )
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<String>,
                    >(&request, result)
                })
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
