//! Messages of what has no `Display`.

use wsjsonrpc::RpcError;

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Silent;

#[derive(RpcError)]
pub enum FieldError {
    #[rpc_error(code = 1, message = "because of {silent}")]
    Silent { silent: Silent },
}

#[derive(RpcError)]
#[rpc_error(code = 2, display)]
pub struct WholeError;

fn main() {}
