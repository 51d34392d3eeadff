// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

pub trait Store<K: Key>: ::core::marker::Send + ::core::marker::Sync + 'static + Debug {
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
        part: Option<&str>,
    ) -> impl ::core::future::Future<
        Output = Result<String, Missing>,
    > + ::core::marker::Send;
    #[cfg(unix)]
    fn r#move(&self, ctx: &Context, from: K, to: K) -> Result<()>;
    fn touch(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
        async move {}
    }
    fn changes(
        &self,
        ctx: &Context,
        since: u64,
    ) -> impl Stream<Item = Change> + ::core::marker::Send;
    fn keys(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<
        Output = Result<impl Stream<Item = Result<K>> + ::core::marker::Send, Refused>,
    > + ::core::marker::Send;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`StoreService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> StoreService<Self, K>
    where
        Self: ::core::marker::Sized,
    {
        ::core::convert::From::from(::wsjsonrpc::__private::Arc::new(self))
    }
    #[doc(hidden)]
    fn __unmocked(
        &self,
        _method: ::core::primitive::usize,
    ) -> ::core::option::Option<::wsjsonrpc::__private::ErrorObject> {
        ::core::option::Option::None
    }
}
#[allow(
    deprecated,
    non_snake_case,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
impl<T, K: Key> Store<K> for ::wsjsonrpc::__private::Arc<T>
where
    T: Store<K>,
    ::wsjsonrpc::__private::Arc<T>: Debug,
{
    fn get(
        &self,
        context: &Context,
        key: &K,
        part: Option<&str>,
    ) -> impl ::core::future::Future<
        Output = Result<String, Missing>,
    > + ::core::marker::Send {
        <T as Store<K>>::get(&**self, context, key, part)
    }
    #[cfg(unix)]
    fn r#move(&self, context: &Context, from: K, to: K) -> Result<()> {
        <T as Store<K>>::r#move(&**self, context, from, to)
    }
    fn touch(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
        <T as Store<K>>::touch(&**self, context)
    }
    fn changes(
        &self,
        context: &Context,
        since: u64,
    ) -> impl Stream<Item = Change> + ::core::marker::Send {
        <T as Store<K>>::changes(&**self, context, since)
    }
    fn keys(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<
        Output = Result<impl Stream<Item = Result<K>> + ::core::marker::Send, Refused>,
    > + ::core::marker::Send {
        <T as Store<K>>::keys(&**self, context)
    }
    fn __unmocked(
        &self,
        method: ::core::primitive::usize,
    ) -> ::core::option::Option<::wsjsonrpc::__private::ErrorObject> {
        <T as Store<K>>::__unmocked(&**self, method)
    }
}
/// A typed client: calls the methods of [`Store`](trait@Store) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
pub struct StoreClient<K> {
    peer: ::wsjsonrpc::__private::Peer,
    marker: ::core::marker::PhantomData<fn() -> (K,)>,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl<K> StoreClient<K> {
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
impl<K: Key> StoreClient<K> {
    /// Calls `get`.
    pub fn get(
        &self,
        key: &K,
        part: Option<&str>,
    ) -> ::wsjsonrpc::__private::CallOf<Result<String, Missing>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "get",
            ::wsjsonrpc::__private::Form::Positional,
            &["key", "part"],
        );
        encoder.arg::<&K>(&key);
        encoder.arg::<Option<&str>>(&part);
        encoder.finish()
    }
    #[cfg(unix)]
    /// Calls `move`.
    pub fn r#move(&self, from: K, to: K) -> ::wsjsonrpc::__private::CallOf<Result<()>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "move",
            ::wsjsonrpc::__private::Form::Positional,
            &["from", "to"],
        );
        encoder.arg::<K>(&from);
        encoder.arg::<K>(&to);
        encoder.finish()
    }
    /// Calls `touch`.
    pub fn touch(&self) -> ::wsjsonrpc::__private::CallOf<()> {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "touch",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.finish()
    }
    /// Calls `changes`.
    pub fn changes(
        &self,
        since: u64,
    ) -> ::wsjsonrpc::__private::Subscribe<Change, ::wsjsonrpc::__private::ErrorObject> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "changes",
            ::wsjsonrpc::__private::Form::Positional,
            &["since"],
        );
        encoder.arg::<u64>(&since);
        encoder.subscribe("unsubscribe_changes", "changes")
    }
    /// Calls `keys`.
    pub fn keys(
        &self,
    ) -> ::wsjsonrpc::__private::Subscribe<
        K,
        <Result<K> as ::wsjsonrpc::__private::IntoItem<K>>::Err,
    > {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "keys",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.subscribe("unsubscribe_keys", "keys")
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K> ::core::clone::Clone for StoreClient<K> {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K> ::core::fmt::Debug for StoreClient<K> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("StoreClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K> ::core::convert::From<::wsjsonrpc::__private::Peer> for StoreClient<K> {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Store`](trait@Store).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
pub struct StoreService<T, K>(
    ::wsjsonrpc::__private::Arc<T>,
    ::core::marker::PhantomData<fn() -> (K,)>,
);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T, K> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for StoreService<T, K> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared, ::core::marker::PhantomData)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T, K> ::core::clone::Clone for StoreService<T, K> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0), ::core::marker::PhantomData)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T, K> ::core::fmt::Debug for StoreService<T, K> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("StoreService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T, K: Key> ::wsjsonrpc::__private::Service for StoreService<T, K>
where
    T: Store<K>,
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
            #[cfg(unix)]
            (::wsjsonrpc::__private::Cow::Borrowed("move"), 1usize),
            (::wsjsonrpc::__private::Cow::Borrowed("touch"), 2usize),
            (::wsjsonrpc::__private::Cow::Borrowed("changes"), 3usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("unsubscribe_changes"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
            (::wsjsonrpc::__private::Cow::Borrowed("keys"), 4usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("unsubscribe_keys"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
        ])
    }
    fn call(
        &self,
        method: ::core::primitive::usize,
        request: ::wsjsonrpc::__private::Request,
    ) -> ::wsjsonrpc::__private::Outcome {
        if let ::core::option::Option::Some(error) = <T as Store<
            K,
        >>::__unmocked(&self.0, method) {
            return ::wsjsonrpc::__private::Outcome::ready(move || request.fail(error));
        }
        match method {
            0usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let mut args = match request.args(&["key", "part"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let key = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let part = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Store<
                        K,
                    >>::get(
                            &service,
                            request.context(),
                            ::wsjsonrpc::__private::Arg::get(&key),
                            ::wsjsonrpc::__private::Arg::get(&part),
                        )
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<String, Missing>,
                    >(&request, result)
                })
            }
            #[cfg(unix)]
            1usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::blocking(move || {
                    let mut args = match request.args(&["from", "to"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let from: K = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let to: K = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Store<
                        K,
                    >>::r#move(&service, request.context(), from, to);
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<()>,
                    >(&request, result)
                })
            }
            2usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let args = match request.args(&[]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Store<K>>::touch(&service, request.context())
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<()>(&request, result)
                })
            }
            3usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "changes",
                    "unsubscribe_changes",
                    "changes",
                );
                ::wsjsonrpc::__private::Outcome::subscription(
                    request,
                    topic,
                    move |request, producer| async move {
                        let mut args = match request.args(&["since"]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        let since: u64 = match args.next() {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Store<
                            K,
                        >>::changes(&service, request.context(), since);
                        producer.run::<Change, _>(result).await
                    },
                )
            }
            4usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "keys",
                    "unsubscribe_keys",
                    "keys",
                );
                ::wsjsonrpc::__private::Outcome::subscription(
                    request,
                    topic,
                    move |request, producer| async move {
                        let args = match request.args(&[]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Store<K>>::keys(&service, request.context())
                            .await;
                        let result = match ::wsjsonrpc::__private::Returns::into_result(
                            result,
                        ) {
                            ::core::result::Result::Ok(stream) => stream,
                            ::core::result::Result::Err(error) => {
                                return request
                                    .fail(::wsjsonrpc::__private::RpcError::to_object(&error));
                            }
                        };
                        producer.run::<K, _>(result).await
                    },
                )
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
/// A mock of [`Store`](trait@Store), with a closure for each method.
///
/// Clones share the closures and the call counts: keep a clone to read the counts later.
#[allow(
    dead_code,
    deprecated,
    non_snake_case,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
pub struct StoreMock<K: Key> {
    get: ::wsjsonrpc::__private::Slot<
        dyn ::core::ops::FnMut(
            &Context,
            &K,
            Option<&str>,
        ) -> Result<String, Missing> + ::core::marker::Send,
    >,
    #[cfg(unix)]
    r#move: ::wsjsonrpc::__private::Slot<
        dyn ::core::ops::FnMut(&Context, K, K) -> Result<()> + ::core::marker::Send,
    >,
    touch: ::wsjsonrpc::__private::Slot<
        dyn ::core::ops::FnMut(&Context) -> () + ::core::marker::Send,
    >,
    changes: ::wsjsonrpc::__private::Slot<
        dyn ::core::ops::FnMut(
            &Context,
            u64,
        ) -> ::wsjsonrpc::__private::BoxStream<Change> + ::core::marker::Send,
    >,
    keys: ::wsjsonrpc::__private::Slot<
        dyn ::core::ops::FnMut(
            &Context,
        ) -> Result<
                ::wsjsonrpc::__private::BoxStream<Result<K>>,
                Refused,
            > + ::core::marker::Send,
    >,
    __marker: ::core::marker::PhantomData<fn() -> (K,)>,
}
#[allow(
    dead_code,
    deprecated,
    non_snake_case,
    clippy::should_implement_trait,
    clippy::type_complexity,
    reason = "named like the trait's methods, whether used or not"
)]
impl<K: Key> StoreMock<K> {
    /// Sets the closure that answers calls of `get`.
    pub fn get(
        self,
        closure: impl ::core::ops::FnMut(
            &Context,
            &K,
            Option<&str>,
        ) -> Result<String, Missing> + ::core::marker::Send + 'static,
    ) -> Self {
        self.get.set(::wsjsonrpc::__private::Box::new(closure));
        self
    }
    #[cfg(unix)]
    /// Sets the closure that answers calls of `move`.
    pub fn r#move(
        self,
        closure: impl ::core::ops::FnMut(
            &Context,
            K,
            K,
        ) -> Result<()> + ::core::marker::Send + 'static,
    ) -> Self {
        self.r#move.set(::wsjsonrpc::__private::Box::new(closure));
        self
    }
    /// Sets the closure that answers calls of `touch`.
    pub fn touch(
        self,
        closure: impl ::core::ops::FnMut(&Context) -> () + ::core::marker::Send + 'static,
    ) -> Self {
        self.touch.set(::wsjsonrpc::__private::Box::new(closure));
        self
    }
    /// Sets the closure that answers calls of `changes`.
    pub fn changes(
        self,
        closure: impl ::core::ops::FnMut(
            &Context,
            u64,
        ) -> ::wsjsonrpc::__private::BoxStream<Change> + ::core::marker::Send + 'static,
    ) -> Self {
        self.changes.set(::wsjsonrpc::__private::Box::new(closure));
        self
    }
    /// Sets the closure that answers calls of `keys`.
    pub fn keys(
        self,
        closure: impl ::core::ops::FnMut(
            &Context,
        ) -> Result<
                ::wsjsonrpc::__private::BoxStream<Result<K>>,
                Refused,
            > + ::core::marker::Send + 'static,
    ) -> Self {
        self.keys.set(::wsjsonrpc::__private::Box::new(closure));
        self
    }
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl<K: Key> StoreMock<K> {
    /// Creates a mock without closures. A call of a method without a closure fails with
    /// -32601 and a message that says so.
    #[must_use]
    pub fn new() -> Self {
        ::core::default::Default::default()
    }
    /// Returns how often `method` was called. `method` is its name in Rust.
    ///
    /// # Panics
    ///
    /// Panics if there is no such method.
    #[must_use]
    #[track_caller]
    pub fn calls(&self, method: &::core::primitive::str) -> ::core::primitive::u64 {
        match method {
            "get" => self.get.calls(),
            #[cfg(unix)]
            "move" => self.r#move.calls(),
            "touch" => self.touch.calls(),
            "changes" => self.changes.calls(),
            "keys" => self.keys.calls(),
            _ => ::wsjsonrpc::__private::no_such_method("StoreMock", method),
        }
    }
    /// Returns a client that calls this mock over a new connection in memory.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[must_use]
    pub fn into_client(self) -> StoreClient<K> {
        let service: StoreService<Self, K> = ::core::convert::From::from(
            ::wsjsonrpc::__private::Arc::new(self),
        );
        ::core::convert::From::from(::wsjsonrpc::__private::client_of(service))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K: Key> ::core::default::Default for StoreMock<K> {
    fn default() -> Self {
        Self {
            get: ::core::default::Default::default(),
            #[cfg(unix)]
            r#move: ::core::default::Default::default(),
            touch: ::core::default::Default::default(),
            changes: ::core::default::Default::default(),
            keys: ::core::default::Default::default(),
            __marker: ::core::marker::PhantomData,
        }
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K: Key> ::core::clone::Clone for StoreMock<K> {
    fn clone(&self) -> Self {
        Self {
            get: ::core::clone::Clone::clone(&self.get),
            #[cfg(unix)]
            r#move: ::core::clone::Clone::clone(&self.r#move),
            touch: ::core::clone::Clone::clone(&self.touch),
            changes: ::core::clone::Clone::clone(&self.changes),
            keys: ::core::clone::Clone::clone(&self.keys),
            __marker: ::core::marker::PhantomData,
        }
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<K: Key> ::core::fmt::Debug for StoreMock<K> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        let mut structure = formatter.debug_struct("StoreMock");
        structure.field("get", &self.get);
        #[cfg(unix)] structure.field("move", &self.r#move);
        structure.field("touch", &self.touch);
        structure.field("changes", &self.changes);
        structure.field("keys", &self.keys);
        structure.finish()
    }
}
#[allow(
    deprecated,
    non_snake_case,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
impl<K: Key> Store<K> for StoreMock<K> {
    async fn get(
        &self,
        context: &Context,
        key: &K,
        part: Option<&str>,
    ) -> Result<String, Missing> {
        self.get.run("StoreMock", "get", move |closure| { closure(context, key, part) })
    }
    #[cfg(unix)]
    fn r#move(&self, context: &Context, from: K, to: K) -> Result<()> {
        self.r#move
            .run("StoreMock", "move", move |closure| { closure(context, from, to) })
    }
    async fn touch(&self, context: &Context) -> () {
        self.touch.run("StoreMock", "touch", move |closure| { closure(context) })
    }
    fn changes(
        &self,
        context: &Context,
        since: u64,
    ) -> impl Stream<Item = Change> + ::core::marker::Send {
        self.changes
            .run("StoreMock", "changes", move |closure| { closure(context, since) })
    }
    async fn keys(
        &self,
        context: &Context,
    ) -> Result<impl Stream<Item = Result<K>> + ::core::marker::Send, Refused> {
        self.keys.run("StoreMock", "keys", move |closure| { closure(context) })
    }
    fn __unmocked(
        &self,
        method: ::core::primitive::usize,
    ) -> ::core::option::Option<::wsjsonrpc::__private::ErrorObject> {
        match method {
            0usize => self.get.refusal("StoreMock", "get"),
            #[cfg(unix)]
            1usize => self.r#move.refusal("StoreMock", "move"),
            2usize => self.touch.refusal("StoreMock", "touch"),
            3usize => self.changes.refusal("StoreMock", "changes"),
            4usize => self.keys.refusal("StoreMock", "keys"),
            _ => ::core::option::Option::None,
        }
    }
}
trait Empty: ::core::marker::Send + ::core::marker::Sync + 'static {
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`EmptyService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> EmptyService<Self>
    where
        Self: ::core::marker::Sized,
    {
        ::core::convert::From::from(::wsjsonrpc::__private::Arc::new(self))
    }
    #[doc(hidden)]
    fn __unmocked(
        &self,
        _method: ::core::primitive::usize,
    ) -> ::core::option::Option<::wsjsonrpc::__private::ErrorObject> {
        ::core::option::Option::None
    }
}
#[allow(
    deprecated,
    non_snake_case,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
impl<T> Empty for ::wsjsonrpc::__private::Arc<T>
where
    T: Empty,
{
    fn __unmocked(
        &self,
        method: ::core::primitive::usize,
    ) -> ::core::option::Option<::wsjsonrpc::__private::ErrorObject> {
        <T as Empty>::__unmocked(&**self, method)
    }
}
/// A typed client: calls the methods of [`Empty`](trait@Empty) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
struct EmptyClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl EmptyClient {
    /// Creates a client that uses an existing connection: `client.peer()`, `ctx.peer()`.
    #[must_use]
    fn new(peer: impl ::core::convert::Into<::wsjsonrpc::__private::Peer>) -> Self {
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
    async fn connect(
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
    fn peer(&self) -> &::wsjsonrpc::__private::Peer {
        &self.peer
    }
    /// Sends several calls in one message.
    fn batch<B: ::wsjsonrpc::__private::IntoBatch>(
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
impl EmptyClient {}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for EmptyClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for EmptyClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("EmptyClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for EmptyClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Empty`](trait@Empty).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
struct EmptyService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for EmptyService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for EmptyService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for EmptyService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("EmptyService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> ::wsjsonrpc::__private::Service for EmptyService<T>
where
    T: Empty,
{
    fn methods(
        &self,
    ) -> ::wsjsonrpc::__private::Vec<
        (
            ::wsjsonrpc::__private::Cow<'static, ::core::primitive::str>,
            ::core::primitive::usize,
        ),
    > {
        ::core::convert::From::from([])
    }
    fn call(
        &self,
        method: ::core::primitive::usize,
        request: ::wsjsonrpc::__private::Request,
    ) -> ::wsjsonrpc::__private::Outcome {
        if let ::core::option::Option::Some(error) = <T as Empty>::__unmocked(
            &self.0,
            method,
        ) {
            return ::wsjsonrpc::__private::Outcome::ready(move || request.fail(error));
        }
        match method {
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
/// A mock of [`Empty`](trait@Empty), with a closure for each method.
///
/// Clones share the closures and the call counts: keep a clone to read the counts later.
#[allow(
    dead_code,
    deprecated,
    non_snake_case,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
struct Nobody {}
#[allow(
    dead_code,
    deprecated,
    non_snake_case,
    clippy::should_implement_trait,
    clippy::type_complexity,
    reason = "named like the trait's methods, whether used or not"
)]
impl Nobody {}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl Nobody {
    /// Creates a mock without closures. A call of a method without a closure fails with
    /// -32601 and a message that says so.
    #[must_use]
    fn new() -> Self {
        ::core::default::Default::default()
    }
    /// Returns how often `method` was called. `method` is its name in Rust.
    ///
    /// # Panics
    ///
    /// Panics if there is no such method.
    #[must_use]
    #[track_caller]
    fn calls(&self, method: &::core::primitive::str) -> ::core::primitive::u64 {
        match method {
            _ => ::wsjsonrpc::__private::no_such_method("Nobody", method),
        }
    }
    /// Returns a client that calls this mock over a new connection in memory.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[must_use]
    fn into_client(self) -> EmptyClient {
        let service: EmptyService<Self> = ::core::convert::From::from(
            ::wsjsonrpc::__private::Arc::new(self),
        );
        ::core::convert::From::from(::wsjsonrpc::__private::client_of(service))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::default::Default for Nobody {
    fn default() -> Self {
        Self {}
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for Nobody {
    fn clone(&self) -> Self {
        Self {}
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for Nobody {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        let mut structure = formatter.debug_struct("Nobody");
        structure.finish()
    }
}
#[allow(
    deprecated,
    non_snake_case,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
impl Empty for Nobody {
    fn __unmocked(
        &self,
        method: ::core::primitive::usize,
    ) -> ::core::option::Option<::wsjsonrpc::__private::ErrorObject> {
        match method {
            _ => ::core::option::Option::None,
        }
    }
}
