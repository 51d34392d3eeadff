// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

const _: () = {
    const _: () = ::wsjsonrpc::__private::check_code(1001i64, &[]);
    const _: () = ::wsjsonrpc::__private::check_code(1002i64, &[1001i64]);
    const _: () = ::wsjsonrpc::__private::check_code(1003i64, &[1001i64, 1002i64]);
    const __CODE3: ::core::primitive::i64 = codes::CLOSED;
    const _: () = ::wsjsonrpc::__private::check_code(
        __CODE3,
        &[1001i64, 1002i64, 1003i64],
    );
    const _: () = ::wsjsonrpc::__private::check_code(
        1006i64,
        &[1001i64, 1002i64, 1003i64, __CODE3],
    );
    const _: () = ::wsjsonrpc::__private::check_code(
        1007i64,
        &[1001i64, 1002i64, 1003i64, __CODE3, 1006i64],
    );
    #[automatically_derived]
    #[allow(deprecated, reason = "a deprecated error still travels")]
    impl ::wsjsonrpc::__private::RpcError for BankError {
        fn to_object(&self) -> ::wsjsonrpc::__private::ErrorObject {
            match *self {
                Self::Insufficient { account: ref __field0, missing: ref __field1 } => {
                    let mut fields = ::wsjsonrpc::__private::Fields::new(true);
                    fields.put("account", __field0);
                    fields.put("missing", __field1);
                    ::wsjsonrpc::__private::ErrorObject::new(
                            1001i64,
                            ::wsjsonrpc::__private::message(
                                ::core::format_args!(
                                    "{0} of {1:?} are missing", __field1, __field0
                                ),
                            ),
                        )
                        .with_data(fields)
                }
                Self::NoSuchAccount { 0: ref __field0 } => {
                    ::wsjsonrpc::__private::ErrorObject::new(1002i64, "no such account")
                        .with_data(__field0)
                }
                Self::Several { 0: ref __field0, 1: ref __field1 } => {
                    let mut fields = ::wsjsonrpc::__private::Fields::new(false);
                    fields.put("", __field0);
                    fields.put("", __field1);
                    ::wsjsonrpc::__private::ErrorObject::new(
                            1003i64,
                            ::wsjsonrpc::__private::message(
                                ::core::format_args!("{0}", self),
                            ),
                        )
                        .with_data(fields)
                }
                Self::Closed {} => {
                    ::wsjsonrpc::__private::ErrorObject::new(
                        __CODE3,
                        ::wsjsonrpc::__private::message(
                            ::core::format_args!("{0}", self),
                        ),
                    )
                }
                Self::Other { 0: ref __field0 } => {
                    <ErrorObject as ::wsjsonrpc::__private::RpcError>::to_object(
                        __field0,
                    )
                }
                Self::Source { 0: ref __field0 } => {
                    ::wsjsonrpc::__private::ErrorObject::new(1006i64, "source")
                        .with_data(::wsjsonrpc::__private::source_field(__field0))
                }
                Self::NamedSource { source: ref __field0 } => {
                    let mut fields = ::wsjsonrpc::__private::Fields::new(true);
                    fields
                        .put("source", &::wsjsonrpc::__private::source_field(__field0));
                    ::wsjsonrpc::__private::ErrorObject::new(1007i64, "named source")
                        .with_data(fields)
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
                            &["account", "missing"],
                        )?;
                        ::core::option::Option::Some(Self::Insufficient {
                            account: fields.get()?,
                            missing: fields.get()?,
                        })
                    }
                    1002i64 => {
                        ::core::option::Option::Some(Self::NoSuchAccount {
                            0: ::wsjsonrpc::__private::value(object)?,
                        })
                    }
                    1003i64 => {
                        let mut fields = ::wsjsonrpc::__private::Received::listed(
                            object,
                            2usize,
                        )?;
                        ::core::option::Option::Some(Self::Several {
                            0: fields.get()?,
                            1: fields.get_or_default()?,
                        })
                    }
                    __CODE3 => ::core::option::Option::Some(Self::Closed {}),
                    1006i64 => {
                        ::core::option::Option::Some(Self::Source {
                            0: ::wsjsonrpc::__private::source_value(object)?,
                        })
                    }
                    1007i64 => {
                        let mut fields = ::wsjsonrpc::__private::Received::named(
                            object,
                            &["source"],
                        )?;
                        ::core::option::Option::Some(Self::NamedSource {
                            source: fields.get_source()?,
                        })
                    }
                    _ => ::core::option::Option::None,
                }
            };
            if let ::core::option::Option::Some(error) = decode(&object) {
                return ::core::result::Result::Ok(error);
            }
            let object = match <ErrorObject as ::wsjsonrpc::__private::RpcError>::from_object(
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
    #[allow(deprecated, reason = "a deprecated error still travels")]
    impl ::core::convert::From<::wsjsonrpc::__private::ErrorObject> for BankError {
        fn from(object: ::wsjsonrpc::__private::ErrorObject) -> Self {
            Self::Other { 0: object }
        }
    }
    #[automatically_derived]
    #[allow(deprecated, reason = "a deprecated error still travels")]
    impl<
        __E: ::wsjsonrpc::__private::RpcError + ::core::fmt::Debug + ::core::marker::Sync,
    > ::core::convert::From<::wsjsonrpc::__private::CallError<__E>> for BankError {
        fn from(error: ::wsjsonrpc::__private::CallError<__E>) -> Self {
            Self::Other {
                0: <::wsjsonrpc::__private::ErrorObject as ::core::convert::From<
                    _,
                >>::from(error),
            }
        }
    }
};
#[automatically_derived]
#[allow(deprecated, reason = "a deprecated error still travels")]
impl<T> crate::wire::__private::RpcError for RateLimited<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    fn to_object(&self) -> crate::wire::__private::ErrorObject {
        match *self {
            Self { retry_after: ref __field0, how_often: ref __field1 } => {
                let mut fields = crate::wire::__private::Fields::new(true);
                fields.put("retryAfter", __field0);
                fields.put("n", __field1);
                crate::wire::__private::ErrorObject::new(-1i64, "rate limited")
                    .with_data(fields)
            }
        }
    }
    fn from_object(
        object: crate::wire::__private::ErrorObject,
    ) -> ::core::result::Result<Self, crate::wire::__private::ErrorObject> {
        let decode = |
            object: &crate::wire::__private::ErrorObject,
        | -> ::core::option::Option<Self> {
            match object.code().0 {
                -1i64 => {
                    let mut fields = crate::wire::__private::Received::named(
                        object,
                        &["retryAfter", "n"],
                    )?;
                    ::core::option::Option::Some(Self {
                        retry_after: fields.get()?,
                        how_often: fields.get_or_default()?,
                    })
                }
                _ => ::core::option::Option::None,
            }
        };
        if let ::core::option::Option::Some(error) = decode(&object) {
            return ::core::result::Result::Ok(error);
        }
        ::core::result::Result::Err(object)
    }
}
