//! Bounds on the types of arguments and results in generated code. They make the compiler's message
//! name the two solutions: derive the missing trait, or generate only one side. Each trait is
//! implemented for every type that implements serde's trait.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

// Without `do_not_recommend`, rustc would show the message of serde's trait.

/// An argument that the client can serialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an RPC method: the client cannot serialize it",
    label = "`{Self}` does not implement `serde::Serialize`",
    note = "`#[rpc]` generates a client and a service, so the types need both traits: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "if this program only serves the trait, write `#[rpc(server)]` to generate no client"
)]
pub trait SentArg: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> SentArg for T {}

/// A result, or an item of a subscription, that the client can deserialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of an RPC method: the client cannot deserialize it",
    label = "`{Self}` does not implement `serde::Deserialize`",
    note = "`#[rpc]` generates a client and a service, so the types need both traits: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "if this program only serves the trait, write `#[rpc(server)]` to generate no client"
)]
pub trait ReceivedResult: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> ReceivedResult for T {}

/// A result that the service can serialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of an RPC method: the service cannot serialize it",
    label = "`{Self}` does not implement `serde::Serialize`",
    note = "`#[rpc]` generates a client and a service, so the types need both traits: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "if this program only calls the methods, write `#[rpc(client)]` to generate no service"
)]
pub trait SentResult: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> SentResult for T {}

/// An argument that the service can deserialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an RPC method: the service cannot deserialize it",
    label = "`{Self}` does not implement `serde::Deserialize`",
    note = "`#[rpc]` generates a client and a service, so the types need both traits: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "if this program only calls the methods, write `#[rpc(client)]` to generate no service"
)]
pub trait ReceivedArg<'de>: Deserialize<'de> {}

#[diagnostic::do_not_recommend]
impl<'de, T: Deserialize<'de>> ReceivedArg<'de> for T {}
