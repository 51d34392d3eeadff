// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

pub trait Store<
    K,
    V = String,
    const N: usize = 4,
>: ::core::marker::Send + ::core::marker::Sync + 'static + Debug
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    Self: Clone,
{
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_StoreClient_TO_CALL_AND_impl_Store_OR_Box_dyn_Service_TO_SERVE: () = ();
    fn get(
        &self,
        ctx: &Context,
        key: &K,
    ) -> impl ::core::future::Future<Output = Result<Option<V>>> + ::core::marker::Send;
    fn put(
        &self,
        ctx: &Context,
        key: K,
        values: [V; N],
    ) -> impl ::core::future::Future<Output = Result<()>> + ::core::marker::Send;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`StoreService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> StoreService<Self, K, V, N>
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
impl<T, K, V, const N: usize> Store<K, V, N> for ::wsjsonrpc::__private::Arc<T>
where
    T: Store<K, V, N>,
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    ::wsjsonrpc::__private::Arc<T>: Debug + Clone,
{
    fn get(
        &self,
        context: &Context,
        key: &K,
    ) -> impl ::core::future::Future<Output = Result<Option<V>>> + ::core::marker::Send {
        <T as Store<K, V, N>>::get(&**self, context, key)
    }
    fn put(
        &self,
        context: &Context,
        key: K,
        values: [V; N],
    ) -> impl ::core::future::Future<Output = Result<()>> + ::core::marker::Send {
        <T as Store<K, V, N>>::put(&**self, context, key, values)
    }
}
/// A typed client: calls the methods of [`Store`](trait@Store) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
pub struct StoreClient<K, V = String, const N: usize = 4> {
    peer: ::wsjsonrpc::__private::Peer,
    marker: ::core::marker::PhantomData<fn() -> (K, V)>,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl<K, V, const N: usize> StoreClient<K, V, N> {
    /// Creates a client that uses an existing connection: `client.peer()`, `ctx.peer()`.
    #[must_use]
    pub fn new(peer: impl ::core::convert::Into<::wsjsonrpc::__private::Peer>) -> Self {
        Self {
            peer: ::core::convert::Into::into(peer),
            marker: ::core::marker::PhantomData,
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
impl<K, V, const N: usize> StoreClient<K, V, N>
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Calls `get`.
    pub fn get(&self, key: &K) -> ::wsjsonrpc::__private::CallOf<Result<Option<V>>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "get",
            ::wsjsonrpc::__private::Form::Positional,
            &["key"],
        );
        encoder.arg::<&K>(&key);
        encoder.finish()
    }
    /// Calls `put`.
    pub fn put(
        &self,
        key: K,
        values: [V; N],
    ) -> ::wsjsonrpc::__private::CallOf<Result<()>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "put",
            ::wsjsonrpc::__private::Form::Positional,
            &["key", "values"],
        );
        encoder.arg::<K>(&key);
        encoder.arg::<[V; N]>(&values);
        encoder.finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K, V, const N: usize> ::core::clone::Clone for StoreClient<K, V, N> {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K, V, const N: usize> ::core::fmt::Debug for StoreClient<K, V, N> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("StoreClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K, V, const N: usize> ::core::convert::From<::wsjsonrpc::__private::Peer>
for StoreClient<K, V, N> {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Store`](trait@Store).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
pub struct StoreService<T, K, V = String, const N: usize = 4>(
    ::wsjsonrpc::__private::Arc<T>,
    ::core::marker::PhantomData<fn() -> (K, V)>,
);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T, K, V, const N: usize> ::core::convert::From<::wsjsonrpc::__private::Arc<T>>
for StoreService<T, K, V, N> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared, ::core::marker::PhantomData)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T, K, V, const N: usize> ::core::clone::Clone for StoreService<T, K, V, N> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0), ::core::marker::PhantomData)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T, K, V, const N: usize> ::core::fmt::Debug for StoreService<T, K, V, N> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("StoreService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T, K, V, const N: usize> ::wsjsonrpc::__private::Service
for StoreService<T, K, V, N>
where
    T: Store<K, V, N>,
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
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
            (::wsjsonrpc::__private::Cow::Borrowed("get"), 0usize),
            (::wsjsonrpc::__private::Cow::Borrowed("put"), 1usize),
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
                    let mut args = match request.args(&["key"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let key = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Store<
                        K,
                        V,
                        N,
                    >>::get(
                            &service,
                            request.context(),
                            ::wsjsonrpc::__private::Arg::get(&key),
                        )
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<Option<V>>,
                    >(&request, result)
                })
            }
            1usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let mut args = match request.args(&["key", "values"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let key: K = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let values: [V; N] = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Store<
                        K,
                        V,
                        N,
                    >>::put(&service, request.context(), key, values)
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<()>,
                    >(&request, result)
                })
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
