//! Every form of an error, and every argument.

#[derive(RpcError)]
pub enum BankError {
    #[rpc_error(code = 1001, message = "{missing} of {account:?} are missing")]
    Insufficient { account: String, missing: u64 },
    #[rpc_error(code = 1002)]
    NoSuchAccount(String),
    #[rpc_error(code = 1003)]
    #[error("{0} and {1}")]
    Several(u8, #[rpc_error(default)] u8),
    #[rpc_error(code = codes::CLOSED, display)]
    Closed,
    #[error("{0}")]
    #[rpc_error(transparent, from)]
    Other(ErrorObject),
    #[rpc_error(code = 1006)]
    Source(#[from] Source),
    #[rpc_error(code = 1007)]
    NamedSource { #[source] source: Source },
}

#[derive(RpcError)]
#[rpc_error(code = -1, rename_all = "camelCase", crate = crate::wire)]
struct RateLimited<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    retry_after: T,
    #[rpc_error(rename = "n", default)]
    how_often: u8,
}
