// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

trait Shop: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_ShopClient_TO_CALL_AND_impl_Shop_OR_Box_dyn_Service_TO_SERVE: () = ();
    fn place_order(&self, ctx: &Context, article_id: u64, how_many: u32) -> Result<u64>;
    fn sum_up(&self, ctx: &Context, prices: Vec<f64>) -> Result<f64>;
    fn pack(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    fn count(&self, ctx: &Context) -> Result<u64>;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`ShopService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> ShopService<Self>
    where
        Self: ::core::marker::Sized,
    {
        ::core::convert::From::from(crate::wire::__private::Arc::new(self))
    }
}
#[allow(
    deprecated,
    non_snake_case,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "generated along with the trait"
)]
impl<T> Shop for crate::wire::__private::Arc<T>
where
    T: Shop,
{
    fn place_order(
        &self,
        context: &Context,
        article_id: u64,
        how_many: u32,
    ) -> Result<u64> {
        <T as Shop>::place_order(&**self, context, article_id, how_many)
    }
    fn sum_up(&self, context: &Context, prices: Vec<f64>) -> Result<f64> {
        <T as Shop>::sum_up(&**self, context, prices)
    }
    fn pack(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
        <T as Shop>::pack(&**self, context)
    }
    fn count(&self, context: &Context) -> Result<u64> {
        <T as Shop>::count(&**self, context)
    }
}
/// A typed client: calls the methods of [`Shop`](trait@Shop) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
struct ShopClient {
    peer: crate::wire::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl ShopClient {
    /// Creates a client that uses an existing connection: `client.peer()`, `ctx.peer()`.
    #[must_use]
    fn new(peer: impl ::core::convert::Into<crate::wire::__private::Peer>) -> Self {
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
    ) -> ::core::result::Result<Self, crate::wire::__private::ConnectError> {
        match crate::wire::__private::Client::connect(url).await {
            ::core::result::Result::Ok(client) => {
                ::core::result::Result::Ok(Self::new(client.peer()))
            }
            ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
        }
    }
    /// Returns the handle to the peer that this client sends its calls through.
    #[must_use]
    fn peer(&self) -> &crate::wire::__private::Peer {
        &self.peer
    }
    /// Sends several calls in one message.
    fn batch<B: crate::wire::__private::IntoBatch>(
        &self,
        calls: B,
    ) -> crate::wire::__private::BatchCall<B> {
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
impl ShopClient {
    /// Calls `shop/placeOrder`.
    fn place_order(
        &self,
        article_id: u64,
        how_many: u32,
    ) -> crate::wire::__private::CallOf<Result<u64>> {
        let mut encoder = crate::wire::__private::Encoder::new(
            &self.peer,
            "shop/placeOrder",
            crate::wire::__private::Form::Named,
            &["articleId", "n"],
        );
        encoder.arg::<u64>(&article_id);
        encoder.arg::<u32>(&how_many);
        encoder.finish()
    }
    /// Calls `shop/sumUp`.
    fn sum_up(&self, prices: Vec<f64>) -> crate::wire::__private::CallOf<Result<f64>> {
        let mut encoder = crate::wire::__private::Encoder::new(
            &self.peer,
            "shop/sumUp",
            crate::wire::__private::Form::Whole,
            &["prices"],
        );
        encoder.arg::<Vec<f64>>(&prices);
        encoder.finish().idempotent()
    }
    /// Calls `shop/pack`.
    fn pack(&self) -> crate::wire::__private::CallOf<()> {
        let encoder = crate::wire::__private::Encoder::new(
            &self.peer,
            "shop/pack",
            crate::wire::__private::Form::Positional,
            &[],
        );
        encoder.finish()
    }
    /// Calls `shop/count`.
    fn count(&self) -> crate::wire::__private::CallOf<Result<u64>> {
        let encoder = crate::wire::__private::Encoder::new(
            &self.peer,
            "shop/count",
            crate::wire::__private::Form::Positional,
            &[],
        );
        encoder.finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for ShopClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for ShopClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("ShopClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<crate::wire::__private::Peer> for ShopClient {
    fn from(peer: crate::wire::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Shop`](trait@Shop).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
struct ShopService<T>(crate::wire::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<crate::wire::__private::Arc<T>> for ShopService<T> {
    fn from(shared: crate::wire::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for ShopService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for ShopService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("ShopService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> crate::wire::__private::Service for ShopService<T>
where
    T: Shop,
{
    fn methods(
        &self,
    ) -> crate::wire::__private::Vec<
        (
            crate::wire::__private::Cow<'static, ::core::primitive::str>,
            ::core::primitive::usize,
        ),
    > {
        ::core::convert::From::from([
            (crate::wire::__private::Cow::Borrowed("shop/placeOrder"), 0usize),
            (crate::wire::__private::Cow::Borrowed("shop/sumUp"), 1usize),
            (crate::wire::__private::Cow::Borrowed("shop/pack"), 2usize),
            (crate::wire::__private::Cow::Borrowed("shop/count"), 3usize),
        ])
    }
    fn call(
        &self,
        method: ::core::primitive::usize,
        request: crate::wire::__private::Request,
    ) -> crate::wire::__private::Outcome {
        match method {
            0usize => {
                let service = &self.0;
                crate::wire::__private::Outcome::ready(move || {
                    let mut args = match request.args(&["articleId", "n"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let article_id: u64 = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let how_many: u32 = match args.next_or_default() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Shop>::place_order(
                        &service,
                        request.context(),
                        article_id,
                        how_many,
                    );
                    crate::wire::__private::Request::reply::<
                        Result<u64>,
                    >(&request, result)
                })
            }
            1usize => {
                if let ::core::option::Option::Some(refused) = request
                    .refuse_params_over(65536usize)
                {
                    return refused;
                }
                let service = ::core::clone::Clone::clone(&self.0);
                crate::wire::__private::Outcome::blocking(move || {
                    let prices: Vec<f64> = match request.whole() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let result = <T as Shop>::sum_up(
                        &service,
                        request.context(),
                        prices,
                    );
                    crate::wire::__private::Request::reply::<
                        Result<f64>,
                    >(&request, result)
                })
            }
            2usize => {
                let caller = request.caller();
                let service = ::core::clone::Clone::clone(&self.0);
                crate::wire::__private::Outcome::future(async move {
                        let args = match request.args(&[]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Shop>::pack(&service, request.context())
                            .await;
                        crate::wire::__private::Request::reply::<()>(&request, result)
                    })
                    .ordered(&caller)
                    .droppable(&caller)
            }
            3usize => {
                let caller = request.caller();
                let service = ::core::clone::Clone::clone(&self.0);
                crate::wire::__private::Outcome::future(async move {
                        let args = match request.args(&[]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Shop>::count(&service, request.context());
                        crate::wire::__private::Request::reply::<
                            Result<u64>,
                        >(&request, result)
                    })
                    .ordered(&caller)
            }
            _ => crate::wire::__private::Outcome::unknown(request),
        }
    }
}
