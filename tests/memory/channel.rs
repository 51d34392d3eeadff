//! The memory of channels and of items that wait for their subscribers.

use std::time::Duration;

use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Channel, Context, Methods, Server};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, MIB, SCRATCH, Tested, check, settled};

/// A server with the subscription `news` to a channel.
fn server(channel: &Channel<String>) -> wsjsonrpc::server::ServerBuilder {
    let channel = channel.clone();
    let subscribe = move |ctx: Context, ()| {
        let stream = channel.subscribe(&ctx);
        async move { Ok(stream) }
    };
    Server::builder().service(Methods::new().subscription(Topic::new("news"), subscribe))
}

fn subscribe(hostile: &mut Hostile) {
    hostile.send(&request("news", "[]", "1"));
    hostile.read_until("\"id\":1}");
}

/// The send queue of every subscriber and the buffer of the channel are full.
#[test]
fn subscribers_that_do_not_read_share_one_copy() {
    const SUBSCRIBERS: usize = 40;
    const ITEM: usize = 32 * KIB;
    let tested = Tested::new();
    let channel = Channel::builder().buffer(10_000).buffer_bytes(MIB).build();
    let address = tested.serve(server(&channel));
    let mut subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| Hostile::connect(address)).collect();
    subscribers.iter_mut().for_each(subscribe);
    let before = settled();
    let text = "x".repeat(ITEM);
    tested.runtime.block_on(async {
        // The network takes some megabytes first. In the end, all skip items.
        let mut dropped = 0;
        loop {
            for _ in 0..MIB / ITEM {
                channel.publish(&text).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            let before = std::mem::replace(&mut dropped, channel.dropped());
            // A subscriber that waits for its send queue is not polled, and skips later.
            if channel.position().offset > 1000 && dropped == before {
                break;
            }
        }
    });
    drop(text);
    // Not all queues hold the same items, because the network takes more for some.
    let shared = MIB + 3 * MIB;
    let references = (MIB / ITEM) * 256 + 8 * KIB;
    check(
        &format!("items of a channel for {SUBSCRIBERS} subscribers"),
        settled().saturating_sub(before),
        shared + SUBSCRIBERS * references + SCRATCH,
    );
    drop(subscribers);
}

#[test]
fn subscribers_that_are_gone_leave_nothing() {
    const AT_ONCE: usize = 100;
    const ROUNDS: usize = 100;
    let tested = Tested::new();
    let channel = Channel::builder().replay(10).build();
    let address = tested.serve(server(&channel));
    let round = |_| {
        let mut subscribers: Vec<_> = (0..AT_ONCE).map(|_| Hostile::connect(address)).collect();
        subscribers.iter_mut().for_each(subscribe);
        assert_eq!(channel.subscriber_count(), AT_ONCE);
        channel.publish(&"news".to_owned()).unwrap();
        drop(subscribers);
        while channel.subscriber_count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // Allocates what the program needs once before memory is measured.
    (0..5).for_each(round);
    let before = settled();
    (5..ROUNDS).for_each(round);
    check("10,000 subscribers came and gone", settled().saturating_sub(before), 64 * KIB);
}
