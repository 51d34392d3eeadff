// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

/// What a bank does.
pub trait Bank: ::core::marker::Send + ::core::marker::Sync + 'static {
    #[doc(hidden)]
    #[allow(
        dead_code,
        non_upper_case_globals,
        reason = "for the compiler's message about `dyn`"
    )]
    const USE_BankClient_TO_CALL_AND_impl_Bank_OR_Box_dyn_Service_TO_SERVE: () = ();
    /// Takes money out of an account.
    ///
    /// Fails if there is too little.
    fn withdraw(
        &self,
        ctx: &Context,
        account: &str,
        amount: u64,
    ) -> impl ::core::future::Future<
        Output = Result<u64, BankError>,
    > + ::core::marker::Send;
    #[deprecated(note = "use `withdraw`")]
    fn close(
        &self,
        ctx: &Context,
        force: bool,
        note: Option<&str>,
    ) -> impl ::core::future::Future<Output = Result<Date>> + ::core::marker::Send;
    fn all(
        &self,
        ctx: &Context,
        accounts: &[String],
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    #[cfg(feature = "news")]
    fn news(
        &self,
        ctx: &Context,
    ) -> impl ::core::future::Future<
        Output = Result<
            impl Stream<
                Item = Result<Positioned<Date>, BankError>,
            > + ::core::marker::Send,
            BankError,
        >,
    > + ::core::marker::Send;
    /// Converts this value into a service, with which a server or a client answers calls.
    ///
    /// To keep access to the value, or to serve it in several places, call this method on an
    /// `Arc` of it. See [`BankService`].
    #[allow(dead_code, deprecated, reason = "generated along with the trait")]
    fn into_service(self) -> BankService<Self>
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
impl<T> Bank for ::wsjsonrpc::__private::Arc<T>
where
    T: Bank,
{
    fn withdraw(
        &self,
        context: &Context,
        account: &str,
        amount: u64,
    ) -> impl ::core::future::Future<
        Output = Result<u64, BankError>,
    > + ::core::marker::Send {
        <T as Bank>::withdraw(&**self, context, account, amount)
    }
    fn close(
        &self,
        context: &Context,
        force: bool,
        note: Option<&str>,
    ) -> impl ::core::future::Future<Output = Result<Date>> + ::core::marker::Send {
        <T as Bank>::close(&**self, context, force, note)
    }
    fn all(
        &self,
        context: &Context,
        accounts: &[String],
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
        <T as Bank>::all(&**self, context, accounts)
    }
    #[cfg(feature = "news")]
    fn news(
        &self,
        context: &Context,
    ) -> impl ::core::future::Future<
        Output = Result<
            impl Stream<
                Item = Result<Positioned<Date>, BankError>,
            > + ::core::marker::Send,
            BankError,
        >,
    > + ::core::marker::Send {
        <T as Bank>::news(&**self, context)
    }
}
/// A typed client: calls the methods of [`Bank`](trait@Bank) on the peer.
///
/// Either side of a connection can have one, whichever side opened the connection. Clones
/// are cheap and share the connection.
#[allow(dead_code, reason = "a program may use only the service")]
pub struct BankClient {
    peer: ::wsjsonrpc::__private::Peer,
}
#[allow(dead_code, deprecated, reason = "generated, whether used or not")]
impl BankClient {
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
impl BankClient {
    /// Takes money out of an account.
    ///
    /// Fails if there is too little.
    ///
    /// Calls `bank.withdraw`.
    pub fn withdraw(
        &self,
        account: &str,
        amount: u64,
    ) -> ::wsjsonrpc::__private::CallOf<Result<u64, BankError>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "bank.withdraw",
            ::wsjsonrpc::__private::Form::Positional,
            &["account", "amount"],
        );
        encoder.arg::<&str>(&account);
        encoder.arg::<u64>(&amount);
        encoder.finish().idempotent()
    }
    #[deprecated(note = "use `withdraw`")]
    /// Calls `bank.close`.
    pub fn close(
        &self,
        force: bool,
        note: Option<&str>,
    ) -> ::wsjsonrpc::__private::CallOf<Result<Date>> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "bank.close",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.arg::<bool>(&force);
        encoder.arg::<Option<&str>>(&note);
        encoder.finish()
    }
    /// Calls `bank.all`.
    pub fn all(&self, accounts: &[String]) -> ::wsjsonrpc::__private::CallOf<()> {
        let mut encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "bank.all",
            ::wsjsonrpc::__private::Form::Whole,
            &["accounts"],
        );
        encoder.arg::<&[String]>(&accounts);
        encoder.finish()
    }
    #[cfg(feature = "news")]
    /// Calls `bank.news`.
    pub fn news(
        &self,
    ) -> ::wsjsonrpc::__private::Subscribe<
        Date,
        <Result<
            Positioned<Date>,
            BankError,
        > as ::wsjsonrpc::__private::IntoItem<Date>>::Err,
    > {
        let encoder = ::wsjsonrpc::__private::Encoder::new(
            &self.peer,
            "bank.news",
            ::wsjsonrpc::__private::Form::Positional,
            &[],
        );
        encoder.subscribe("bank.unsubscribe_news", "bank.news")
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::clone::Clone for BankClient {
    fn clone(&self) -> Self {
        Self::new(::core::clone::Clone::clone(&self.peer))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::fmt::Debug for BankClient {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("BankClient").field("peer", &self.peer).finish()
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl ::core::convert::From<::wsjsonrpc::__private::Peer> for BankClient {
    fn from(peer: ::wsjsonrpc::__private::Peer) -> Self {
        Self::new(peer)
    }
}
/// A service that answers calls with an implementation of [`Bank`](trait@Bank).
///
/// Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.
/// Clones are cheap and share the implementation.
pub struct BankService<T>(::wsjsonrpc::__private::Arc<T>);
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::convert::From<::wsjsonrpc::__private::Arc<T>> for BankService<T> {
    fn from(shared: ::wsjsonrpc::__private::Arc<T>) -> Self {
        Self(shared)
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::clone::Clone for BankService<T> {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, reason = "generated along with the trait")]
impl<T> ::core::fmt::Debug for BankService<T> {
    fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        formatter.debug_struct("BankService").finish_non_exhaustive()
    }
}
#[allow(deprecated, reason = "a deprecated method is still answered")]
impl<T> ::wsjsonrpc::__private::Service for BankService<T>
where
    T: Bank,
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
            (::wsjsonrpc::__private::Cow::Borrowed("bank.withdraw"), 0usize),
            (::wsjsonrpc::__private::Cow::Borrowed("take"), 0usize),
            (::wsjsonrpc::__private::Cow::Borrowed("bank.close"), 1usize),
            (::wsjsonrpc::__private::Cow::Borrowed("bank.all"), 2usize),
            #[cfg(feature = "news")]
            (::wsjsonrpc::__private::Cow::Borrowed("bank.news"), 3usize),
            #[cfg(feature = "news")]
            (
                ::wsjsonrpc::__private::Cow::Borrowed("bank.unsubscribe_news"),
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
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let mut args = match request.args(&["account", "amount"]) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let account = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let amount: u64 = match args.next() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    if let ::core::result::Result::Err(error) = args.finish() {
                        return request.fail(error);
                    }
                    let result = <T as Bank>::withdraw(
                            &service,
                            request.context(),
                            ::wsjsonrpc::__private::Arg::get(&account),
                            amount,
                        )
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<
                        Result<u64, BankError>,
                    >(&request, result)
                })
            }
            1usize => {
                let caller = request.caller();
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                        let mut args = match request.list(&["force", "note"]) {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        let force: bool = match args.next_or_default() {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        let note = match args.next() {
                            ::core::result::Result::Ok(value) => value,
                            ::core::result::Result::Err(error) => {
                                return request.fail(error);
                            }
                        };
                        if let ::core::result::Result::Err(error) = args.finish() {
                            return request.fail(error);
                        }
                        let result = <T as Bank>::close(
                                &service,
                                request.context(),
                                force,
                                ::wsjsonrpc::__private::Arg::get(&note),
                            )
                            .await;
                        ::wsjsonrpc::__private::Request::reply::<
                            Result<Date>,
                        >(&request, result)
                    })
                    .ordered(&caller)
                    .droppable(&caller)
            }
            2usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                ::wsjsonrpc::__private::Outcome::future(async move {
                    let accounts = match request.whole() {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => return request.fail(error),
                    };
                    let result = <T as Bank>::all(
                            &service,
                            request.context(),
                            ::wsjsonrpc::__private::Arg::get(&accounts),
                        )
                        .await;
                    ::wsjsonrpc::__private::Request::reply::<()>(&request, result)
                })
            }
            #[cfg(feature = "news")]
            3usize => {
                let service = ::core::clone::Clone::clone(&self.0);
                let topic = ::wsjsonrpc::__private::Topic::fixed(
                    "bank.news",
                    "bank.unsubscribe_news",
                    "bank.news",
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
                        let result = <T as Bank>::news(&service, request.context())
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
                        producer.run::<Date, _>(result).await
                    },
                )
            }
            _ => ::wsjsonrpc::__private::Outcome::unknown(request),
        }
    }
    fn describe(&self) -> ::wsjsonrpc::__private::Vec<::wsjsonrpc::__private::Method> {
        <BankClient as ::wsjsonrpc::__private::Describe>::methods()
    }
}
#[allow(
    deprecated,
    clippy::let_unit_value,
    clippy::too_many_lines,
    reason = "a deprecated method is still described"
)]
impl ::wsjsonrpc::__private::Describe for BankClient {
    fn methods() -> ::wsjsonrpc::__private::Vec<::wsjsonrpc::__private::Method> {
        ::core::convert::From::from([
            ::wsjsonrpc::__private::Method::new("bank.withdraw")
                .alias("take")
                .doc("Takes money out of an account.\n\nFails if there is too little.")
                .argument::<
                    &str,
                >(
                    "account",
                    !::wsjsonrpc::__private::is_optional::<
                        <&str as ::wsjsonrpc::__private::Arg<'_>>::Store,
                    >(::wsjsonrpc::__private::Args::next),
                    ::core::option::Option::None,
                )
                .argument::<
                    u8,
                >(
                    "amount",
                    !::wsjsonrpc::__private::is_optional::<
                        u64,
                    >(::wsjsonrpc::__private::Args::next),
                    ::core::option::Option::None,
                )
                .result::<
                    <Result<u64, BankError> as ::wsjsonrpc::__private::Returns>::Ok,
                >()
                .errors::<
                    <Result<u64, BankError> as ::wsjsonrpc::__private::Returns>::Err,
                >()
                .idempotent()
                .progress::<f64>()
                .example({
                    let example = ::wsjsonrpc::__private::Example::new("example 1");
                    let value: &str = "ada";
                    let example = example.param::<&str>(&value);
                    let value: u64 = 5;
                    let example = example.param::<u64>(&value);
                    let value: <Result<
                        u64,
                        BankError,
                    > as ::wsjsonrpc::__private::Returns>::Ok = 95;
                    example.result(&value)
                })
                .example({
                    let example = ::wsjsonrpc::__private::Example::new("too much");
                    let value: &str = "ada";
                    let example = example.param::<&str>(&value);
                    let value: u64 = 500;
                    let example = example.param::<u64>(&value);
                    let value: <Result<
                        u64,
                        BankError,
                    > as ::wsjsonrpc::__private::Returns>::Err = BankError::Closed;
                    example.error(::wsjsonrpc::__private::RpcError::to_object(&value))
                }),
            ::wsjsonrpc::__private::Method::new("bank.close")
                .deprecated("use `withdraw`")
                .argument::<
                    bool,
                >(
                    "force",
                    false,
                    ::wsjsonrpc::__private::default_value::<
                        bool,
                    >(::wsjsonrpc::__private::Args::next_or_default),
                )
                .argument::<
                    Option<&str>,
                >(
                    "note",
                    !::wsjsonrpc::__private::is_optional::<
                        <Option<&str> as ::wsjsonrpc::__private::Arg<'_>>::Store,
                    >(::wsjsonrpc::__private::Args::next),
                    ::core::option::Option::None,
                )
                .list_only()
                .result::<String>()
                .errors::<<Result<Date> as ::wsjsonrpc::__private::Returns>::Err>()
                .ordered()
                .cancel_drops(),
            ::wsjsonrpc::__private::Method::new("bank.all")
                .params::<&[String]>()
                .result::<<() as ::wsjsonrpc::__private::Returns>::Ok>()
                .errors::<<() as ::wsjsonrpc::__private::Returns>::Err>(),
            #[cfg(feature = "news")]
            ::wsjsonrpc::__private::Method::new("bank.news")
                .subscription::<String>("bank.unsubscribe_news", "bank.news")
                .resumable()
                .errors::<
                    <Result<(), BankError> as ::wsjsonrpc::__private::Returns>::Err,
                >()
                .errors::<
                    <Result<
                        Positioned<Date>,
                        BankError,
                    > as ::wsjsonrpc::__private::IntoItem<Date>>::Err,
                >(),
        ])
    }
}
const _: () = {
    const _: () = ::wsjsonrpc::__private::check_code(1001i64, &[]);
    const __CODE1: ::core::primitive::i64 = codes::NO_ACCOUNT;
    const _: () = ::wsjsonrpc::__private::check_code(__CODE1, &[1001i64]);
    const _: () = ::wsjsonrpc::__private::check_code(1003i64, &[1001i64, __CODE1]);
    const _: () = ::wsjsonrpc::__private::check_code(
        1004i64,
        &[1001i64, __CODE1, 1003i64],
    );
    #[automatically_derived]
    #[allow(deprecated, reason = "a deprecated error still travels")]
    impl ::wsjsonrpc::__private::RpcError for BankError {
        fn to_object(&self) -> ::wsjsonrpc::__private::ErrorObject {
            match *self {
                Self::Insufficient {
                    missing_now: ref __field0,
                    since: ref __field1,
                } => {
                    let mut fields = ::wsjsonrpc::__private::Fields::new(true);
                    fields.put("missingNow", __field0);
                    fields.put("since", __field1);
                    ::wsjsonrpc::__private::ErrorObject::new(
                            1001i64,
                            ::wsjsonrpc::__private::message(
                                ::core::format_args!("{0} are missing", __field0),
                            ),
                        )
                        .with_data(fields)
                }
                Self::NoSuchAccount { 0: ref __field0 } => {
                    ::wsjsonrpc::__private::ErrorObject::new(__CODE1, "no such account")
                        .with_data(__field0)
                }
                Self::OverLimit { 0: ref __field0, 1: ref __field1 } => {
                    let mut fields = ::wsjsonrpc::__private::Fields::new(false);
                    fields.put("", __field0);
                    fields.put("", __field1);
                    ::wsjsonrpc::__private::ErrorObject::new(1003i64, "over limit")
                        .with_data(fields)
                }
                Self::Closed {} => {
                    ::wsjsonrpc::__private::ErrorObject::new(1004i64, "closed")
                }
                Self::Other { 0: ref __field0 } => {
                    <OtherError as ::wsjsonrpc::__private::RpcError>::to_object(__field0)
                }
            }
        }
        fn from_object(
            object: ::wsjsonrpc::__private::ErrorObject,
        ) -> ::core::result::Result<Self, ::wsjsonrpc::__private::ErrorObject> {
            let decode = |
                object: &::wsjsonrpc::__private::ErrorObject,
            | -> ::core::option::Option<Self> {
                match object.code().0 {
                    1001i64 => {
                        let mut fields = ::wsjsonrpc::__private::Received::named(
                            object,
                            &["missingNow", "since"],
                        )?;
                        ::core::option::Option::Some(Self::Insufficient {
                            missing_now: fields.get()?,
                            since: fields.get()?,
                        })
                    }
                    __CODE1 => {
                        ::core::option::Option::Some(Self::NoSuchAccount {
                            0: ::wsjsonrpc::__private::value(object)?,
                        })
                    }
                    1003i64 => {
                        let mut fields = ::wsjsonrpc::__private::Received::listed(
                            object,
                            2usize,
                        )?;
                        ::core::option::Option::Some(Self::OverLimit {
                            0: fields.get()?,
                            1: fields.get()?,
                        })
                    }
                    1004i64 => ::core::option::Option::Some(Self::Closed {}),
                    _ => ::core::option::Option::None,
                }
            };
            if let ::core::option::Option::Some(error) = decode(&object) {
                return ::core::result::Result::Ok(error);
            }
            let object = match <OtherError as ::wsjsonrpc::__private::RpcError>::from_object(
                object,
            ) {
                ::core::result::Result::Ok(field) => {
                    return ::core::result::Result::Ok(Self::Other { 0: field });
                }
                ::core::result::Result::Err(object) => object,
            };
            ::core::result::Result::Err(object)
        }
    }
    #[automatically_derived]
    #[allow(
        deprecated,
        unused_variables,
        reason = "a deprecated error is still described"
    )]
    impl ::wsjsonrpc::__private::DescribeError for BankError {
        fn describe(errors: &mut ::wsjsonrpc::__private::Errors) {
            errors
                .add(1001i64, "{missing_now} are missing")
                .field::<u64>("missingNow")
                .field::<String>("since");
            errors.add(__CODE1, "no such account").data::<String>();
            errors.add(1003i64, "over limit").element::<u64>().element::<String>();
            errors.add(1004i64, "closed");
            <OtherError as ::wsjsonrpc::__private::DescribeError>::describe(errors);
        }
    }
};
