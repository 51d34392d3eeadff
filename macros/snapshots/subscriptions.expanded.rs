// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

trait Feeds: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_FeedsClient_TO_CALL_AND_impl_Feeds_OR_Box_dyn_Service_TO_SERVE: () = ();
    fn ticks(
        &self,
        ctx: &Context,
        symbol: &str,
    ) -> impl Stream<Item = Tick> + ::core::marker::Send;
    fn heads(
        &self,
        ctx: &Context,
        kind: String,
    ) -> impl ::core::future::Future<
        Output = Result<impl Stream<Item = Head> + ::core::marker::Send, Refused>,
    > + ::core::marker::Send;
    fn pieces(&self, ctx: &Context) -> impl Stream<Item = Result<Piece, Broken>> + Send;
    fn entries(
        &self,
        ctx: &Context,
    ) -> impl Stream<Item = Positioned<Entry>> + ::core::marker::Send;
    fn changes(
        &self,
        ctx: &Context,
    ) -> Result<
        impl Stream<Item = Result<Positioned<Change>, Broken>> + ::core::marker::Send,
        Refused,
    >;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`FeedsService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> FeedsService<Self>
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
impl<T> Feeds for ::wsjsonrpc::__private::Arc<T>
where
    T: Feeds,
{
    fn ticks(
        &self,
        context: &Context,
        symbol: &str,
    ) -> impl Stream<Item = Tick> + ::core::marker::Send {
        <T as Feeds>::ticks(&**self, context, symbol)
    }
    fn heads(
        &self,
        context: &Context,
        kind: String,
    ) -> impl ::core::future::Future<
        Output = Result<impl Stream<Item = Head> + ::core::marker::Send, Refused>,
    > + ::core::marker::Send {
        <T as Feeds>::heads(&**self, context, kind)
    }
    fn pieces(
        &self,
        context: &Context,
    ) -> impl Stream<Item = Result<Piece, Broken>> + Send {
        <T as Feeds>::pieces(&**self, context)
    }
    fn entries(
        &self,
        context: &Context,
    ) -> impl Stream<Item = Positioned<Entry>> + ::core::marker::Send {
        <T as Feeds>::entries(&**self, context)
    }
    fn changes(
        &self,
        context: &Context,
    ) -> Result<
        impl Stream<Item = Result<Positioned<Change>, Broken>> + ::core::marker::Send,
        Refused,
    > {
        <T as Feeds>::changes(&**self, context)
    }
}
/// A typed client: calls the methods of [`Feeds`](trait@Feeds) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
struct FeedsClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl FeedsClient {
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
impl FeedsClient {
    /// Calls `feed.ticks`.
    fn ticks(
        &self,
        symbol: &str,
    ) -> ::wsjsonrpc::__private::Subscribe<Tick, ::wsjsonrpc::__private::ErrorObject> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "feed.ticks",
            ::wsjsonrpc::__private::Form::Positional,
            &["symbol"],
        );
        encoder.arg::<&str>(&symbol);
        encoder.subscribe("feed.unsubscribe_ticks", "feed.ticks")
    }
    /// Calls `eth_subscribe`.
    fn heads(
        &self,
        kind: String,
    ) -> ::wsjsonrpc::__private::Subscribe<
        Head,
        <Result<(), Refused> as ::wsjsonrpc::__private::Returns>::Err,
    > {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "eth_subscribe",
            ::wsjsonrpc::__private::Form::Positional,
            &["kind"],
        );
        encoder.arg::<String>(&kind);
        encoder.subscribe("eth_unsubscribe", "eth_subscription")
    }
    /// Calls `feed.pieces`.
    fn pieces(
        &self,
    ) -> ::wsjsonrpc::__private::Subscribe<
        Piece,
        <Result<Piece, Broken> as ::wsjsonrpc::__private::IntoItem<Piece>>::Err,
    > {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "feed.pieces",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.subscribe("feed.unsubscribe_pieces", "feed.pieces")
    }
    /// Calls `feed.entries`.
    fn entries(
        &self,
    ) -> ::wsjsonrpc::__private::Subscribe<Entry, ::wsjsonrpc::__private::ErrorObject> {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "feed.entries",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.subscribe("feed.unsubscribe_entries", "feed.entries")
    }
    /// Calls `feed.changes`.
    fn changes(
        &self,
    ) -> ::wsjsonrpc::__private::Subscribe<
        Change,
        <Result<
            Positioned<Change>,
            Broken,
        > as ::wsjsonrpc::__private::IntoItem<Change>>::Err,
    > {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "feed.changes",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.subscribe("feed.unsubscribe_changes", "feed.changes")
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for FeedsClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for FeedsClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("FeedsClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for FeedsClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Feeds`](trait@Feeds).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
struct FeedsService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for FeedsService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for FeedsService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for FeedsService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("FeedsService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> ::wsjsonrpc::__private::Service for FeedsService<T>
where
    T: Feeds,
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
            (::wsjsonrpc::__private::Cow::Borrowed("feed.ticks"), 0usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("feed.unsubscribe_ticks"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
            (::wsjsonrpc::__private::Cow::Borrowed("eth_subscribe"), 1usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("eth_unsubscribe"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
            (::wsjsonrpc::__private::Cow::Borrowed("feed.pieces"), 2usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("feed.unsubscribe_pieces"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
            (::wsjsonrpc::__private::Cow::Borrowed("feed.entries"), 3usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("feed.unsubscribe_entries"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
            (::wsjsonrpc::__private::Cow::Borrowed("feed.changes"), 4usize),
            (
                ::wsjsonrpc::__private::Cow::Borrowed("feed.unsubscribe_changes"),
                ::wsjsonrpc::__private::Topic::UNSUBSCRIBE,
            ),
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
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "feed.ticks",
                    "feed.unsubscribe_ticks",
                    "feed.ticks",
                );
                ::wsjsonrpc::__private::Outcome::subscription(
                    request,
                    topic,
                    move |request, producer| async move {
                        let mut args = match request.args(&["symbol"]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        let symbol = match args.next() {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Feeds>::ticks(
                            &service,
                            request.context(),
                            ::wsjsonrpc::__private::Arg::get(&symbol),
                        );
                        producer.run::<Tick, _>(result).await
                    },
                )
            }
            1usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                        "eth_subscribe",
                        "eth_unsubscribe",
                        "eth_subscription",
                    )
                    .overflow(::wsjsonrpc::__private::Overflow::DropOldest)
                    .buffer(100)
                    .tell_end(false);
                ::wsjsonrpc::__private::Outcome::subscription(
                    request,
                    topic,
                    move |request, producer| async move {
                        let mut args = match request.args(&["kind"]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        let kind: String = match args.next() {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Feeds>::heads(
                                &service,
                                request.context(),
                                kind,
                            )
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
                        producer.run::<Head, _>(result).await
                    },
                )
            }
            2usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "feed.pieces",
                    "feed.unsubscribe_pieces",
                    "feed.pieces",
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
                        let result = <T as Feeds>::pieces(&service, request.context());
                        producer.run::<Piece, _>(result).await
                    },
                )
            }
            3usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "feed.entries",
                    "feed.unsubscribe_entries",
                    "feed.entries",
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
                        let result = <T as Feeds>::entries(&service, request.context());
                        producer.run::<Entry, _>(result).await
                    },
                )
            }
            4usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "feed.changes",
                    "feed.unsubscribe_changes",
                    "feed.changes",
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
                        let result = <T as Feeds>::changes(&service, request.context());
                        let result = match ::wsjsonrpc::__private::Returns::into_result(
                            result,
                        ) {
                            ::core::result::Result::Ok(stream) => stream,
                            ::core::result::Result::Err(error) => {
                                return request
                                    .fail(::wsjsonrpc::__private::RpcError::to_object(&error));
                            }
                        };
                        producer.run::<Change, _>(result).await
                    },
                )
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
}
