// What the macro makes of the file without `.expanded` in its name.
// The snapshot test has written it.

::core::compile_error! {
    "`Insufficient` has no code: put `#[rpc_error(code = 1001)]` above it, with a number of its own"
}
::core::compile_error! {
    "the codes from -32768 to -32000 are reserved by JSON-RPC: choose any other"
}
::core::compile_error! {
    "values of type `T` travel with the error: write `T: Serialize + DeserializeOwned + Send + 'static`"
}
#[automatically_derived]
#[allow(deprecated, reason = "a deprecated error still travels")]
impl<T> ::wsjsonrpc::__private::RpcError for BankError<T>
where
    Self: ::core::marker::Send + 'static,
{
    fn to_object(&self) -> ::wsjsonrpc::__private::ErrorObject {
        ::wsjsonrpc::__private::ErrorObject::internal()
    }
    fn from_object(
        object: ::wsjsonrpc::__private::ErrorObject,
    ) -> ::core::result::Result<Self, ::wsjsonrpc::__private::ErrorObject> {
        ::core::result::Result::Err(object)
    }
}
