//! The memory of subscriptions.

use futures_util::{StreamExt, stream};
use wsjsonrpc::subscription::{Overflow, Topic};
use wsjsonrpc::{Config, Context, ErrorObject, Methods, Server};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, MIB, THREADS, Tested, check, peak, settled};

/// The cost of a subscription: its task, its stream, its request.
const EACH: usize = 4 * KIB;

/// Many subscriptions with large items. The peer reads some items, so that all subscriptions have
/// their turn, and then stops reading.
#[test]
fn producers_wait_without_their_items() {
    const COUNT: usize = 64;
    const ITEM: usize = 256 * KIB;
    let item: &'static str = "x".repeat(ITEM).leak();
    let tested = Tested::new();
    let config = Config { max_send_queue: MIB, max_subscriptions: COUNT, ..Config::default() };
    let items = move |_: Context, ()| async move {
        Ok::<_, ErrorObject>(stream::repeat(Ok::<_, ErrorObject>(item)))
    };
    let methods = Methods::new().subscription(Topic::new("items"), items);
    let address = tested.serve(Server::builder().config(config).service(methods));
    let mut hostile = Hostile::connect(address);
    let before = settled();
    let peak = peak(|| {
        for id in 0..COUNT {
            hostile.send(&request("items", "[]", &id.to_string()));
        }
        hostile.read(COUNT * ITEM);
        settled();
    });
    // Each thread may hold one item, in a buffer that grew by doubling.
    check("producers", peak - before, MIB + (1 + 2 * THREADS) * ITEM + COUNT * EACH);
}

/// Streams that do not wait for the consumer, with many large items.
#[test]
fn items_that_wait_beside_their_streams_have_one_bound() {
    const COUNT: usize = 64;
    const ITEM: usize = 64 * KIB;
    const BUFFER: usize = 2 * MIB;
    let item: &'static str = "x".repeat(ITEM).leak();
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest] {
        let tested = Tested::new();
        let config = Config {
            max_send_queue: MIB,
            max_subscriptions: COUNT,
            max_subscription_buffer: BUFFER,
            ..Config::default()
        };
        // More items than the network takes; then the stream stays pending.
        let items = move |_: Context, ()| async move {
            let items = stream::repeat(Ok::<_, ErrorObject>(item)).take(20);
            Ok::<_, ErrorObject>(items.chain(stream::pending()))
        };
        let topic = Topic::new("items").overflow(overflow);
        let methods = Methods::new().subscription(topic, items);
        let address = tested.serve(Server::builder().config(config).service(methods));
        let mut hostile = Hostile::connect(address);
        let before = settled();
        let peak = peak(|| {
            for id in 0..COUNT {
                hostile.send(&request("items", "[]", &id.to_string()));
            }
            settled();
        });
        let bound = MIB + BUFFER + (1 + 2 * THREADS) * ITEM + COUNT * EACH;
        check("items beside their streams", peak - before, bound);
    }
}
