// What the macro makes of the file without `.expanded` in its name.
// The snapshot test has written it.

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
    /// Makes a service of it, with which a server or a client answers calls.
    ///
    /// Call it on an `Arc` to keep the value, or to serve it in several places: see [`HelloService`].
    #[allow(dead_code, deprecated, reason = "made along with the trait")]
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
    reason = "made along with the trait"
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
/// Calls the methods of [`Hello`](trait@Hello) on the other side of a connection.
///
/// It does not matter which side has opened the connection. Clones are cheap and share it.
#[allow(dead_code, reason = "a program may have just the service")]
pub(crate) struct HelloClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "made along with the trait, all or nothing")]
impl HelloClient {
    /// A client for a connection which is there already: `client.peer()`, `ctx.peer()`.
    #[must_use]
    pub(crate) fn new(
        peer: impl ::core::convert::Into<::wsjsonrpc::__private::Peer>,
    ) -> Self {
        Self {
            peer: ::core::convert::Into::into(peer),
        }
    }
    /// Opens a connection of its own to `url`, as in `ws://127.0.0.1:8095/`.
    ///
    /// # Errors
    ///
    /// If nobody answers at `url`, or not as a WebSocket server.
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
    /// The handle to the other side which the calls go through.
    #[must_use]
    pub(crate) fn peer(&self) -> &::wsjsonrpc::__private::Peer {
        &self.peer
    }
    /// Sends several calls in one frame.
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
    reason = "they are as the trait has them, and are there whether called or not"
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
#[allow(deprecated, reason = "made along with the trait")]
impl ::core::clone::Clone for HelloClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "made along with the trait")]
impl ::core::fmt::Debug for HelloClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("HelloClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "made along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for HelloClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// Answers calls with an implementation of [`Hello`](trait@Hello).
///
/// Made by `into_service()`, also of an `Arc` that is in use elsewhere. Clones are cheap and
/// share it.
pub(crate) struct HelloService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "made along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for HelloService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "made along with the trait")]
impl<T> ::core::clone::Clone for HelloService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "made along with the trait")]
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
