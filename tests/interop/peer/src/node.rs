//! The subscriptions of an Ethereum node that a client library needs: new blocks, and the method
//! names that such clients use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use serde_json::{Value, json};
use wsjsonrpc::{Context, ErrorObject, Result, Stream, rpc};

#[rpc(schema, namespace = "eth", separator = "_", rename_all = "camelCase")]
pub trait Node {
    async fn chain_id(&self, ctx: &Context) -> Result<String>;
    async fn block_number(&self, ctx: &Context) -> Result<String>;

    #[subscription(
        unsubscribe = "eth_unsubscribe",
        notification = "eth_subscription",
        tell_end = false
    )]
    async fn subscribe(
        &self,
        ctx: &Context,
        kind: String,
        #[param(default)] filter: Value,
    ) -> Result<impl Stream<Item = Value>>;

    /// The number of open subscriptions on all connections.
    #[method(name = "test_feeds")]
    fn feeds(&self, ctx: &Context) -> Result<usize>;
}

#[derive(Clone, Default)]
pub struct Chain {
    feeds: Arc<AtomicUsize>,
}

/// An open subscription.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Node for Chain {
    async fn chain_id(&self, _ctx: &Context) -> Result<String> {
        Ok("0x539".to_owned())
    }

    async fn block_number(&self, _ctx: &Context) -> Result<String> {
        Ok("0x0".to_owned())
    }

    async fn subscribe(
        &self,
        _ctx: &Context,
        kind: String,
        filter: Value,
    ) -> Result<impl Stream<Item = Value>> {
        let item = match kind.as_str() {
            "newHeads" => head,
            "newPendingTransactions" => transaction,
            "logs" if filter.is_object() => log,
            _ => return Err(ErrorObject::invalid_params("no such feed")),
        };
        self.feeds.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.feeds));
        Ok(stream::unfold((1_u64, open), move |(number, open)| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((item(number), (number + 1, open)))
        }))
    }

    fn feeds(&self, _ctx: &Context) -> Result<usize> {
        Ok(self.feeds.load(Ordering::SeqCst))
    }
}

fn hash(number: u64) -> String {
    format!("{number:#066x}")
}

fn head(number: u64) -> Value {
    json!({
        "number": format!("{number:#x}"),
        "hash": hash(number),
        "parentHash": hash(number - 1),
        "timestamp": format!("{:#x}", 1_700_000_000 + 12 * number),
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x0",
        "baseFeePerGas": "0x7",
        "miner": format!("{:#042x}", 7),
        "extraData": "0x",
    })
}

fn transaction(number: u64) -> Value {
    json!(hash(number))
}

fn log(number: u64) -> Value {
    json!({
        "address": format!("{:#042x}", 7),
        "topics": [hash(1)],
        "data": "0x",
        "blockNumber": format!("{number:#x}"),
        "blockHash": hash(number),
        "transactionHash": hash(number + 1000),
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": false,
    })
}
