// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

::core::compile_error! {
    "unknown argument `namespaec`, expected one of: `namespace`, `separator`, `rename_all`, `crate`, `mock`, `omit_none`, `server`, `client`, `schema`"
}
::core::compile_error! {
    "expected the context as the first argument after `&self`: \n\n    async fn no_context(&self, ctx: &Context, x: i64) -> Result<i64>\n"
}
::core::compile_error! {
    "an RPC method cannot have generic parameters, because the peer does not know them: use a concrete type, or move the parameters to the trait"
}
#[allow(async_fn_in_trait, reason = "the trait has errors")]
pub trait Broken: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_BrokenClient_TO_CALL_AND_impl_Broken_OR_Box_dyn_Service_TO_SERVE: () = ();
    fn no_context(
        &self,
        x: i64,
    ) -> impl ::core::future::Future<Output = Result<i64>> + ::core::marker::Send;
    fn fine(
        &self,
        ctx: &Context,
        x: i64,
    ) -> impl ::core::future::Future<Output = Result<i64>> + ::core::marker::Send;
    async fn generic<T>(&self, ctx: &Context, x: T) -> Result<T>;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`BrokenService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> BrokenService<Self>
    where
        Self: ::core::marker::Sized,
    {
        ::core::convert::From::from(::wsjsonrpc::__private::Arc::new(self))
    }
}
/// A typed client: calls the methods of [`Broken`](trait@Broken) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(async_fn_in_trait, reason = "the trait has errors")]
#[allow(dead_code, reason = "a program may use only the service")]
pub struct BrokenClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl BrokenClient {
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
impl BrokenClient {
    /// Calls `no_context`.
    pub fn no_context(&self, x: i64) -> ::wsjsonrpc::__private::CallOf<Result<i64>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "no_context",
            ::wsjsonrpc::__private::Form::Positional,
            &["x"],
        );
        encoder.arg::<i64>(&x);
        encoder.finish()
    }
    /// Calls `fine`.
    pub fn fine(&self, x: i64) -> ::wsjsonrpc::__private::CallOf<Result<i64>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "fine",
            ::wsjsonrpc::__private::Form::Positional,
            &["x"],
        );
        encoder.arg::<i64>(&x);
        encoder.finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for BrokenClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for BrokenClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("BrokenClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for BrokenClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Broken`](trait@Broken).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
#[allow(async_fn_in_trait, reason = "the trait has errors")]
pub struct BrokenService<T_>(::wsjsonrpc::__private::Arc<T_>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T_> ::core::convert::From<::wsjsonrpc::__private::Arc<T_>> for BrokenService<T_> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T_>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T_> ::core::clone::Clone for BrokenService<T_> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T_> ::core::fmt::Debug for BrokenService<T_> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("BrokenService").finish_non_exhaustive()
    }
}
impl<T_> ::wsjsonrpc::__private::Service for BrokenService<T_>
where
    Self: ::core::marker::Send + ::core::marker::Sync + 'static,
{
    fn methods(
        &self,
    ) -> ::wsjsonrpc::__private::Vec<
        (
            ::wsjsonrpc::__private::Cow<'static, ::core::primitive::str>,
            ::core::primitive::usize,
        ),
    > {
        ::wsjsonrpc::__private::Vec::new()
    }
    fn call(
        &self,
        _method: ::core::primitive::usize,
        request: ::wsjsonrpc::__private::Request,
    ) -> ::wsjsonrpc::__private::Outcome {
        ::wsjsonrpc::__private::Outcome::unknown(request)
    }
}
