// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

/// About the trait.
#[allow(clippy::too_many_arguments)]
#[doc(hidden)]
pub trait Old: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_OldClient_TO_CALL_AND_impl_Old_OR_Box_dyn_Service_TO_SERVE: () = ();
    /// Use `new_way` instead.
    #[deprecated(note = "use `new_way`")]
    fn old_way(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<Output = Result<()>> + ::core::marker::Send;
    #[cfg(unix)]
    fn fork(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<Output = Result<u32>> + ::core::marker::Send;
    #[cfg_attr(feature = "x", cfg(unix), must_use, doc = "More.")]
    fn with_body(
        &self,
        ctx: &Context,
        amount: u32,
    ) -> impl ::core::future::Future<Output = Result<u32>> + ::core::marker::Send {
        async move { Ok(amount + 1) }
    }
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`OldService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> OldService<Self>
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
impl<T> Old for ::wsjsonrpc::__private::Arc<T>
where
    T: Old,
{
    fn old_way(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<Output = Result<()>> + ::core::marker::Send {
        <T as Old>::old_way(&**self, context)
    }
    #[cfg(unix)]
    fn fork(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<Output = Result<u32>> + ::core::marker::Send {
        <T as Old>::fork(&**self, context)
    }
    #[cfg_attr(feature = "x", cfg(unix))]
    fn with_body(
        &self,
        context: &Context,
        amount: u32,
    ) -> impl ::core::future::Future<Output = Result<u32>> + ::core::marker::Send {
        <T as Old>::with_body(&**self, context, amount)
    }
}
/// A typed client: calls the methods of [`Old`](trait@Old) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(clippy::too_many_arguments)]
#[doc(hidden)]
#[allow(dead_code, reason = "a program may use only the service")]
pub struct OldClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl OldClient {
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
impl OldClient {
    /// Use `new_way` instead.
    #[deprecated(note = "use `new_way`")]
    ///
    /// Calls `old_way`.
    pub fn old_way(&self) -> ::wsjsonrpc::__private::CallOf<Result<()>> {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "old_way",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.finish()
    }
    #[cfg(unix)]
    /// Calls `fork`.
    pub fn fork(&self) -> ::wsjsonrpc::__private::CallOf<Result<u32>> {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "fork",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.finish()
    }
    #[cfg_attr(feature = "x", cfg(unix), doc = "More.")]
    /// Calls `with_body`.
    pub fn with_body(&self, amount: u32) -> ::wsjsonrpc::__private::CallOf<Result<u32>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "with_body",
            ::wsjsonrpc::__private::Form::Positional,
            &["amount"],
        );
        encoder.arg::<u32>(&amount);
        encoder.finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for OldClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for OldClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("OldClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for OldClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Old`](trait@Old).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
#[allow(clippy::too_many_arguments)]
#[doc(hidden)]
pub struct OldService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for OldService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for OldService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for OldService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("OldService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> ::wsjsonrpc::__private::Service for OldService<T>
where
    T: Old,
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
            (::wsjsonrpc::__private::Cow::Borrowed("old_way"), 0usize),
            #[cfg(unix)]
            (::wsjsonrpc::__private::Cow::Borrowed("fork"), 1usize),
            #[cfg(unix)]
            (::wsjsonrpc::__private::Cow::Borrowed("fork2"), 1usize),
            #[cfg_attr(feature = "x", cfg(unix))]
            (::wsjsonrpc::__private::Cow::Borrowed("with_body"), 2usize),
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
                    let args = match request.args(&[]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Old>::old_way(&service, request.context()).await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<()>,
                    >(&request, result)
                })
            }
            #[cfg(unix)]
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
                    let result = <T as Old>::fork(&service, request.context()).await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<u32>,
                    >(&request, result)
                })
            }
            #[cfg_attr(feature = "x", cfg(unix))]
            2usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let mut args = match request.args(&["amount"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let amount: u32 = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Old>::with_body(
                            &service,
                            request.context(),
                            amount,
                        )
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<u32>,
                    >(&request, result)
                })
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
