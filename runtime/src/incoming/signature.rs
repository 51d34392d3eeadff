//! Traits for the types in a method's signature: [`Returns`] for return types, [`Arg`] for borrowed
//! arguments. Generated code uses this file.

use std::convert::Infallible;

use crate::protocol::error::{ErrorObject, Result};
use crate::protocol::params::Str;
use crate::protocol::typed::RpcError;

/// What a method may return: a `Result`, by any name, or nothing.
#[diagnostic::on_unimplemented(
    message = "an RPC method cannot return `{Self}`",
    label = "expected `wsjsonrpc::Result<T>`, `Result<T, E>` or no return type",
    note = "return `wsjsonrpc::Result<T>`, or `Result<T, E>` with an `E` that implements `wsjsonrpc::RpcError`"
)]
pub trait Returns {
    /// The type of the result.
    type Ok;
    /// The type of the error.
    type Err: RpcError;

    /// Converts into a result.
    fn into_result(self) -> std::result::Result<Self::Ok, Self::Err>;
}

impl<T, E: RpcError> Returns for std::result::Result<T, E> {
    type Ok = T;
    type Err = E;

    fn into_result(self) -> Self {
        self
    }
}

impl Returns for () {
    type Ok = ();
    type Err = ErrorObject;

    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

/// For a handler that never fails.
impl RpcError for Infallible {
    fn to_object(&self) -> ErrorObject {
        match *self {}
    }

    fn from_object(object: ErrorObject) -> std::result::Result<Self, ErrorObject> {
        Err(object)
    }
}

/// A borrowed argument: what the server stores while the handler borrows it.
#[diagnostic::on_unimplemented(
    message = "an RPC method cannot borrow an argument as `{Self}`",
    label = "expected `&str`, `&[T]`, `&T` or an `Option` of these",
    note = "take the argument by value, for example `Vec<String>` instead of `Vec<&str>`"
)]
pub trait Arg<'a>: Sized {
    /// The decoded type.
    type Store: 'a;

    /// What the method gets.
    fn get(store: &'a Self::Store) -> Self;
}

impl<'a> Arg<'a> for &'a str {
    type Store = Str<'a>;

    fn get(store: &'a Str<'a>) -> &'a str {
        &store.0
    }
}

impl<'a, T: 'a> Arg<'a> for &'a [T] {
    type Store = Vec<T>;

    fn get(store: &'a Vec<T>) -> &'a [T] {
        store
    }
}

impl<'a, T: 'a> Arg<'a> for &'a T {
    type Store = T;

    fn get(store: &'a T) -> &'a T {
        store
    }
}

impl<'a, A: Arg<'a>> Arg<'a> for Option<A> {
    type Store = Option<A::Store>;

    fn get(store: &'a Option<A::Store>) -> Option<A> {
        store.as_ref().map(A::get)
    }
}
