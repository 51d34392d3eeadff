// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

::core::compile_error! {
    "`Insufficient` has no code: add `#[rpc_error(code = 1001)]` with a code that no other variant has"
}
::core::compile_error! {
    "codes from -32768 to -32000 are reserved by JSON-RPC: choose another code"
}
::core::compile_error! {
    "`T` needs bounds, because its values are sent with the error: `T: Serialize + DeserializeOwned + Send + 'static`"
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
