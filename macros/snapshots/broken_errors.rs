//! The output after errors: a placeholder implementation.

#[derive(RpcError)]
pub enum BankError<T> {
    Insufficient { missing: u64 },
    #[rpc_error(code = -32600)]
    NoSuchAccount(T),
}
