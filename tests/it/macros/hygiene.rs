//! No name that a user chooses can break generated code: no prelude, no primitive type, no module
//! named `core` or `std`, and no argument named like a generated variable.

/// Has no prelude, and shadows every name that generated code could use.
mod shadowed {
    #![no_implicit_prelude]
    #![allow(
        dead_code,
        non_camel_case_types,
        non_upper_case_globals,
        unused_imports,
        unused_macros
    )]

    mod core {}
    mod std {}
    mod alloc {}
    mod serde {}
    mod wsjsonrpc {}
    mod str {}
    struct usize;
    struct bool;
    struct Result;
    struct Option;
    struct Box;
    struct Vec;
    struct String;
    struct Arc;
    struct Cow;
    struct Client;
    struct Peer;
    struct Request;
    struct Response;
    struct Service;
    struct Outcome;
    struct Encoder;
    struct PhantomData;
    struct T;
    struct B;
    struct ErrorObject;
    struct Fields;
    struct Received;
    struct Topic;
    struct Overflow;
    struct Subscribe;
    struct Producer;
    struct Slot;
    struct BoxStream;
    trait FnMut {}
    enum Shadows {
        Ok,
        Err,
        Some,
        None,
    }
    use Shadows::{Err, None, Ok, Some};
    trait Send {}
    trait Sync {}
    trait Sized {}
    trait Clone {
        fn clone(&self) {}
        fn into(&self) {}
        fn from(&self) {}
    }
    impl<X> Clone for X {}
    trait Future {}
    trait Into {}
    trait From {}
    trait Default {}
    trait Debug {}
    trait Display {}
    trait RpcError {}
    trait Stream {}
    trait Yields {}
    trait Returns {}
    const code: ::core::primitive::i64 = 1;
    macro_rules! format_args {
        ($($tokens:tt)*) => {
            compile_error!("not this one")
        };
    }
    macro_rules! vec {
        ($($tokens:tt)*) => {
            compile_error!("not this one")
        };
    }
    macro_rules! matches {
        ($($tokens:tt)*) => {
            compile_error!("not this one")
        };
    }

    /// Every variable of generated code is also the name of an argument here.
    #[::wsjsonrpc::rpc(mock)]
    pub(super) trait Shadow {
        #[allow(clippy::too_many_arguments)]
        async fn locals(
            &self,
            ctx: &::wsjsonrpc::Context,
            request: &::core::primitive::str,
            args: i32,
            service: ::core::option::Option<&::core::primitive::str>,
            peer: i32,
            encoder: i32,
            method: i32,
            result: i32,
            value: i32,
            error: i32,
            self_: i32,
            context: i32,
            index: i32,
        ) -> ::wsjsonrpc::Result<i32>;

        #[method(blocking)]
        fn plain(
            &self,
            request: &::wsjsonrpc::Context,
            result: i32,
            args: &[i32],
        ) -> ::wsjsonrpc::Result<i32>;

        #[method(params = "whole")]
        async fn whole(
            &self,
            args: &::wsjsonrpc::Context,
            request: &[i32],
        ) -> ::wsjsonrpc::Result<i32>;

        async fn nothing(&self, _ctx: &::wsjsonrpc::Context) {}

        async fn body(&self, ctx: &::wsjsonrpc::Context, x: i32) -> ::wsjsonrpc::Result<i32> {
            let _ = ctx;
            ::core::result::Result::Ok(x)
        }

        #[subscription(overflow = "drop_newest", buffer = 4, tell_end = true)]
        async fn stream(
            &self,
            producer: &::wsjsonrpc::Context,
            topic: i32,
            stream: &::core::primitive::str,
            error: &[i32],
        ) -> ::wsjsonrpc::Result<impl ::wsjsonrpc::Stream<Item = ::wsjsonrpc::Result<i32>>>;
    }

    /// The trait's parameters have names that generated code might use.
    #[::wsjsonrpc::rpc(mock)]
    pub(super) trait Generic<T, B>
    where
        T: ::serde::Serialize
            + ::serde::de::DeserializeOwned
            + ::core::marker::Send
            + ::core::marker::Sync
            + 'static,
        B: ::serde::Serialize
            + ::serde::de::DeserializeOwned
            + ::core::marker::Send
            + ::core::marker::Sync
            + 'static,
    {
        async fn swap(&self, ctx: &::wsjsonrpc::Context, t: T, b: B)
        -> ::wsjsonrpc::Result<(B, T)>;
    }

    /// Every variable of generated code is a field, and every name in it a variant.
    #[derive(::core::fmt::Debug, ::core::cmp::PartialEq, ::wsjsonrpc::RpcError)]
    pub(super) enum ShadowError {
        #[rpc_error(code = code)]
        Ok { code: i32 },
        #[rpc_error(code = 2, message = "{object} {field1} {field0} {decode}")]
        Err { object: i32, field0: i32, field1: i32, fields: i32, decode: i32, error: i32 },
        #[rpc_error(code = 3)]
        Some(i32),
        #[rpc_error(code = 4, message = "{1}{0}")]
        None(i32, i32),
        #[rpc_error(transparent)]
        ErrorObject(::wsjsonrpc::ErrorObject),
    }

    #[derive(::core::fmt::Debug, ::core::cmp::PartialEq, ::wsjsonrpc::RpcError)]
    #[rpc_error(code = 5, message = "{field0}")]
    pub(super) struct Field {
        pub(super) field0: i32,
    }
}

use futures_util::StreamExt;
use shadowed::{Field, Generic, GenericClient, GenericService, Shadow, ShadowClient, ShadowError};
use wsjsonrpc::{Client, Context, ErrorObject, Result, RpcError, Server, memory};

struct Sums;

impl Shadow for Sums {
    async fn locals(
        &self,
        _: &Context,
        request: &str,
        args: i32,
        service: Option<&str>,
        peer: i32,
        encoder: i32,
        method: i32,
        result: i32,
        value: i32,
        error: i32,
        self_: i32,
        context: i32,
        index: i32,
    ) -> Result<i32> {
        let numbers = [args, peer, encoder, method, result, value, error, self_, context, index];
        let texts = [request, service.unwrap_or("0")];
        let texts = texts.iter().map(|text| text.parse().unwrap_or(0));
        // Each argument has a different weight, so that mixing up two of them changes the sum.
        Ok(numbers.into_iter().chain(texts).fold(0, |sum, number| sum * 2 + number))
    }
    fn plain(&self, _: &Context, result: i32, args: &[i32]) -> Result<i32> {
        Ok(result - args.iter().sum::<i32>())
    }
    async fn whole(&self, _: &Context, request: &[i32]) -> Result<i32> {
        Ok(request.iter().sum())
    }
    async fn stream(
        &self,
        _: &Context,
        topic: i32,
        stream: &str,
        error: &[i32],
    ) -> Result<impl wsjsonrpc::Stream<Item = Result<i32>>> {
        let stream = stream.parse::<i32>()?;
        Ok(futures_util::stream::iter(error).map(move |error| Ok(topic * stream + error)))
    }
}

impl Generic<u8, String> for Sums {
    async fn swap(&self, _: &Context, t: u8, b: String) -> Result<(String, u8)> {
        Ok((b, t))
    }
}

#[tokio::test]
async fn shadowed_names_change_nothing() -> Result<()> {
    let generic: GenericService<_, u8, String> = Generic::into_service(Sums);
    let server = Server::builder().service(Shadow::into_service(Sums)).service(generic);
    let (client, _) = memory::pair(Client::builder(), server)?;

    let shadow = ShadowClient::new(client.peer());
    let sum = shadow.locals("1", 1, Some("1"), 0, 0, 1, 0, 0, 1, 0, 0, 1).await?;
    assert_eq!(sum, 0b1001_0010_0111);
    assert_eq!(shadow.plain(10, &[1, 2]).await?, 7);
    assert_eq!(shadow.whole(&[1, 2]).await?, 3);
    assert_eq!(shadow.body(4).await?, 4);
    shadow.nothing().await?;
    let mut stream = shadow.stream(3, "5", &[1, 2]).await?;
    assert_eq!(stream.next().await.unwrap()?, 16);
    assert_eq!(stream.next().await.unwrap()?, 17);
    assert!(stream.next().await.is_none());

    let generic = GenericClient::<u8, String>::new(client.peer());
    assert_eq!(generic.swap(1, "x".into()).await?, ("x".to_owned(), 1));
    Ok(())
}

#[test]
fn shadowed_names_change_no_error() {
    for (error, message) in [
        (ShadowError::Ok { code: 9 }, "ok"),
        (
            ShadowError::Err { object: 1, field0: 2, field1: 3, fields: 4, decode: 5, error: 6 },
            "1 3 2 5",
        ),
        (ShadowError::Some(1), "some"),
        (ShadowError::None(1, 2), "21"),
        (ShadowError::ErrorObject(ErrorObject::new(7, "seven")), "seven"),
    ] {
        let object = error.to_object();
        assert_eq!(object.message(), message);
        assert_eq!(ShadowError::from_object(object), Ok(error));
    }
    let object = Field { field0: 8 }.to_object();
    assert_eq!(object.message(), "8");
    assert_eq!(Field::from_object(object), Ok(Field { field0: 8 }));
}

/// Generated items can use names of the function around them.
#[tokio::test]
async fn a_trait_may_stand_in_a_function() -> Result<()> {
    use wsjsonrpc::rpc;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Number(i64);

    #[rpc]
    trait Local {
        async fn double(&self, ctx: &Context, number: Number) -> Result<Number>;
    }

    struct Doubles;

    impl Local for Doubles {
        async fn double(&self, _: &Context, Number(number): Number) -> Result<Number> {
            Ok(Number(number * 2))
        }
    }

    let server = Server::builder().service(Doubles.into_service());
    let (client, _) = memory::pair(Client::builder(), server)?;
    assert_eq!(LocalClient::new(client.peer()).double(Number(4)).await?.0, 8);
    Ok(())
}

/// Names and types that a `macro_rules!` macro produces.
mod made_by_a_macro {
    use wsjsonrpc::{Context, Result, Stream, rpc};

    macro_rules! service {
        ($name:ident, $method:ident, $wire:literal, $ty:ty) => {
            #[rpc(namespace = "made", crate = ::wsjsonrpc)]
            pub(super) trait $name {
                #[method(name = $wire)]
                async fn $method(
                    &self,
                    ctx: &Context,
                    request: &$ty,
                    x: Option<$ty>,
                ) -> Result<$ty>;

                #[subscription]
                fn both(&self, ctx: &Context, request: &$ty) -> impl Stream<Item = $ty>;
            }
        };
    }

    service!(Made, choose, "made.choose!", u32);

    macro_rules! error {
        ($name:ident, $code:expr, $message:literal, $field:ident: $ty:ty) => {
            #[derive(Debug, PartialEq, wsjsonrpc::RpcError)]
            #[rpc_error(code = $code, message = $message, crate = ::wsjsonrpc)]
            pub(super) struct $name {
                pub(super) $field: $ty,
                pub(super) constant: u8,
            }
        };
    }

    error!(MadeError, -7, "{missing} and {constant}", missing: u32);
}

#[tokio::test]
async fn a_trait_may_come_out_of_a_macro() -> Result<()> {
    use made_by_a_macro::{Made, MadeClient};

    struct Chooses;

    impl Made for Chooses {
        async fn choose(&self, _: &Context, request: &u32, x: Option<u32>) -> Result<u32> {
            Ok(x.unwrap_or(*request))
        }
        fn both(&self, _: &Context, request: &u32) -> impl wsjsonrpc::Stream<Item = u32> {
            futures_util::stream::iter([*request, *request + 1])
        }
    }

    let server = Server::builder().service(Chooses.into_service());
    let (client, _) = memory::pair(Client::builder(), server)?;
    let made = MadeClient::new(client.peer());
    assert_eq!(made.choose(&1, None).await?, 1);
    assert_eq!(made.choose(&1, Some(2)).await?, 2);
    let both = made.both(&5).await?.map(|item| item.unwrap());
    assert_eq!(both.collect::<Vec<_>>().await, [5, 6]);
    assert_eq!(client.peer().call::<u32>("made.choose!", (3,)).await?, 3);
    Ok(())
}

#[test]
fn an_error_may_come_out_of_a_macro() {
    use made_by_a_macro::MadeError;

    let object = MadeError { missing: 1, constant: 2 }.to_object();
    assert_eq!((object.code().0, object.message()), (-7, "1 and 2"));
    assert_eq!(MadeError::from_object(object), Ok(MadeError { missing: 1, constant: 2 }));
}

#[tokio::test]
async fn shadowed_names_do_not_change_a_mock() {
    let mock = shadowed::ShadowMock::new()
        .plain(|_, result, args| Ok(result + args.len() as i32))
        .nothing(|_| ())
        .stream(|_, topic, _, _| Ok(Box::pin(futures_util::stream::iter([Ok(topic)]))));
    let client = mock.clone().into_client();
    assert_eq!(client.plain(1, &[1, 2]).await.unwrap(), 3);
    client.nothing().await.unwrap();
    assert_eq!(client.stream(4, "", &[]).await.unwrap().next().await.unwrap().unwrap(), 4);
    assert_eq!((mock.calls("plain"), mock.calls("locals")), (1, 0));
    let generic = shadowed::GenericMock::<u8, String>::new().swap(|_, t, b| Ok((b, t)));
    let swapped = generic.into_client().swap(1, "b".to_owned()).await.unwrap();
    assert_eq!(swapped, ("b".to_owned(), 1));
}
