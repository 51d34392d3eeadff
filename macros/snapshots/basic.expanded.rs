// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

pub trait Math: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_MathClient_TO_CALL_AND_impl_Math_OR_Box_dyn_Service_TO_SERVE: () = ();
    /// Adds two numbers.
    fn sum(
        &self,
        ctx: &Context,
        x: i64,
        y: i64,
    ) -> impl ::core::future::Future<Output = Result<i64>> + ::core::marker::Send;
    fn reset(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`MathService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> MathService<Self>
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
impl<T> Math for ::wsjsonrpc::__private::Arc<T>
where
    T: Math,
{
    fn sum(
        &self,
        context: &Context,
        x: i64,
        y: i64,
    ) -> impl ::core::future::Future<Output = Result<i64>> + ::core::marker::Send {
        <T as Math>::sum(&**self, context, x, y)
    }
    fn reset(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
        <T as Math>::reset(&**self, context)
    }
}
/// A typed client: calls the methods of [`Math`](trait@Math) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
pub struct MathClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl MathClient {
    /// Creates a client that uses an existing connection: `client.peer()`, `ctx.peer()`.
    #[must_use]
    pub fn new(peer: impl ::core::convert::Into<::wsjsonrpc::__private::Peer>) -> Self {
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
    pub async fn connect(
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
    pub fn peer(&self) -> &::wsjsonrpc::__private::Peer {
        &self.peer
    }
    /// Sends several calls in one message.
    pub fn batch<B: ::wsjsonrpc::__private::IntoBatch>(
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
impl MathClient {
    /// Adds two numbers.
    ///
    /// Calls `math.sum`.
    pub fn sum(&self, x: i64, y: i64) -> ::wsjsonrpc::__private::CallOf<Result<i64>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "math.sum",
            ::wsjsonrpc::__private::Form::Positional,
            &["x", "y"],
        );
        encoder.arg::<i64>(&x);
        encoder.arg::<i64>(&y);
        encoder.finish()
    }
    /// Calls `reset`.
    pub fn reset(&self) -> ::wsjsonrpc::__private::CallOf<()> {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "reset",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for MathClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for MathClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("MathClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for MathClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Math`](trait@Math).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
pub struct MathService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for MathService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for MathService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for MathService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("MathService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> ::wsjsonrpc::__private::Service for MathService<T>
where
    T: Math,
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
            (::wsjsonrpc::__private::Cow::Borrowed("math.sum"), 0usize),
            (::wsjsonrpc::__private::Cow::Borrowed("add"), 0usize),
            (::wsjsonrpc::__private::Cow::Borrowed("reset"), 1usize),
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
                    let mut args = match request.args(&["x", "y"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let x: i64 = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let y: i64 = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Math>::sum(&service, request.context(), x, y)
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<i64>,
                    >(&request, result)
                })
            }
            1usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let args = match request.args(&[]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Math>::reset(&service, request.context()).await;
                    ::wsjsonrpc::__private::Request::reply::<()>(&request, result)
                })
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
