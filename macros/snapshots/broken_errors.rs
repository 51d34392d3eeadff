//! After errors: an implementation that only holds the place.

#[derive(RpcError)]
pub enum BankError<T> {
    Insufficient { missing: u64 },
    #[rpc_error(code = -32600)]
    NoSuchAccount(T),
}
