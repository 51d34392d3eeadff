//! Traits for the types in a method's signature: [`Returns`] for what it returns, [`Arg`] for
//! arguments that it borrows. Generated code uses this file.

use std::convert::Infallible;

use crate::protocol::error::{ErrorObject, Result};
use crate::protocol::params::Str;
use crate::protocol::typed::RpcError;

/// What a method may return: a `Result`, by any name, or nothing.
#[diagnostic::on_unimplemented(
    message = "an rpc method can't return `{Self}`",
    label = "expected `wsjsonrpc::Result<T>`, `Result<T, E>` or no return type",
    note = "return `wsjsonrpc::Result<T>`, or `Result<T, E>` with an `E` that implements `wsjsonrpc::RpcError`"
)]
pub trait Returns {
    /// What the caller gets.
    type Ok;
    /// Or what it gets instead.
    type Err: RpcError;

    /// Which of them it is.
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

/// A borrowed argument: what is kept on the server while the handler looks at it.
#[diagnostic::on_unimplemented(
    message = "an rpc method can't borrow an argument as `{Self}`",
    label = "expected `&str`, `&[T]`, `&T` or an `Option` of these",
    note = "take it by value: `Vec<String>` in place of `Vec<&str>`"
)]
pub trait Arg<'a>: Sized {
    /// What is decoded.
    type Store: 'a;

    /// What the method sees of it.
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
