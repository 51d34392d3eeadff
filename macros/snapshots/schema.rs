/// What a bank does.
#[rpc(schema, namespace = "bank")]
pub trait Bank {
    /// Takes money out of an account.
    ///
    /// Fails if there is too little.
    #[method(aliases = ["take"], idempotent, progress = f64)]
    #[example(params = ("ada", 5), result = 95)]
    #[example(name = "too much", params = ("ada", 500), error = BankError::Closed)]
    async fn withdraw(&self, ctx: &Context, account: &str, #[param(schema = u8)] amount: u64) -> Result<u64, BankError>;

    #[deprecated(note = "use `withdraw`")]
    #[method(params = "list", ordered, cancel = "drop", result_schema = String)]
    async fn close(&self, ctx: &Context, #[param(default)] force: bool, note: Option<&str>) -> Result<Date>;

    #[method(params = "whole")]
    async fn all(&self, ctx: &Context, accounts: &[String]);

    #[cfg(feature = "news")]
    #[subscription(item_schema = String)]
    async fn news(&self, ctx: &Context) -> Result<impl Stream<Item = Result<Positioned<Date>, BankError>>, BankError>;
}

#[derive(RpcError)]
#[rpc_error(schema, rename_all = "camelCase")]
pub enum BankError {
    #[rpc_error(code = 1001, message = "{missing_now} are missing")]
    Insufficient { missing_now: u64, #[rpc_error(schema = String)] since: Date },
    #[rpc_error(code = codes::NO_ACCOUNT)]
    NoSuchAccount(String),
    #[rpc_error(code = 1003)]
    OverLimit(u64, String),
    #[rpc_error(code = 1004)]
    Closed,
    #[rpc_error(transparent)]
    Other(OtherError),
}
