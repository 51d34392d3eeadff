//! Bounds that generated code puts on the types of arguments and results, so that the compiler's
//! message names the two ways out: derive what is missing, or generate one side only. Each trait is
//! implemented for every type that has serde's trait.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

// Without `do_not_recommend`, the message would be that of serde's trait.

/// What the client writes as an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of an rpc method: the client can't serialize it",
    label = "`{Self}` does not implement `serde::Serialize`",
    note = "a contract generates a client and a service, so its types need both: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "or write `#[rpc(server)]`, if this program only serves the trait: then no client is generated"
)]
pub trait SentArg: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> SentArg for T {}

/// What the client reads as a result, or as an item of a subscription.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the result of an rpc method: the client can't deserialize it",
    label = "`{Self}` does not implement `serde::Deserialize`",
    note = "a contract generates a client and a service, so its types need both: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "or write `#[rpc(server)]`, if this program only serves the trait: then no client is generated"
)]
pub trait ReceivedResult: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> ReceivedResult for T {}

/// What the service writes as a result.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the result of an rpc method: the service can't serialize it",
    label = "`{Self}` does not implement `serde::Serialize`",
    note = "a contract generates a client and a service, so its types need both: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "or write `#[rpc(client)]`, if this program only calls the methods: then no service is generated"
)]
pub trait SentResult: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> SentResult for T {}

/// What the service reads as an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of an rpc method: the service can't deserialize it",
    label = "`{Self}` does not implement `serde::Deserialize`",
    note = "a contract generates a client and a service, so its types need both: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "or write `#[rpc(client)]`, if this program only calls the methods: then no service is generated"
)]
pub trait ReceivedArg<'de>: Deserialize<'de> {}

#[diagnostic::do_not_recommend]
impl<'de, T: Deserialize<'de>> ReceivedArg<'de> for T {}
