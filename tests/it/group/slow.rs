//! Members that do not read: what a broadcast does for them, and that other members do not notice.

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::group::{GroupBuilder, SlowMember};
use wsjsonrpc::{Config, Group, Peer};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Raw, SECOND};

use super::{event, member_with, number_in};

/// The size of each message in the tests of this file.
const SIZE: usize = 1000;
/// How many bytes may wait for a member.
const QUEUE: usize = 10 * SIZE;

fn small_queue() -> Config {
    let write_timeout = 1000 * SECOND;
    Config { max_send_queue: QUEUE, write_timeout, ping_interval: None, ..Config::default() }
}

fn large_event(group: &Group, number: usize) -> wsjsonrpc::Call<()> {
    group.peer().call("event", (number, "x".repeat(SIZE)))
}

/// A group with a member that does not read and one that does, and the number of messages until the
/// send queue of the first one is full. With a paused clock.
async fn with_full_queue(settings: GroupBuilder) -> (Group, (Raw, Peer), Raw, usize) {
    let group = settings.build();
    let slow = member_with(&group, small_queue()).await;
    let patient = Config { ping_interval: None, ..Config::default() };
    let (mut fast, _) = member_with(&group, patient).await;
    let mut sent = 0;
    loop {
        // Lets the connections write.
        tokio::time::sleep(SECOND).await;
        let report = large_event(&group, sent).broadcast().unwrap();
        assert_eq!(number_in(&fast.receive().await), sent);
        sent += 1;
        if report.sent == 1 {
            return (group, slow, fast, sent);
        }
        assert!(sent < 1000, "the queue is never full");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_for_a_member_that_does_not_read_are_dropped() {
    let (log, _guard) = Log::of_this_thread();
    let (group, (mut slow, peer), mut fast, sent) = with_full_queue(Group::builder()).await;
    assert_eq!(group.dropped(), 1);
    for number in sent..sent + 100 {
        let report = large_event(&group, number).broadcast().unwrap();
        assert_eq!((report.sent, report.dropped), (1, 1));
        assert_eq!(number_in(&fast.receive().await), number);
    }
    assert_eq!(group.dropped(), 101);
    let warnings = |text: &str| log.text().matches(text).count();
    assert_eq!(warnings("dropped a message for a member of a group: its send queue is full"), 1);

    // It gets what was queued, and later messages when it reads again.
    for number in 0..sent - 1 {
        assert_eq!(number_in(&slow.receive().await), number);
    }
    assert_eq!(large_event(&group, 5000).broadcast().unwrap().sent, 2);
    assert_eq!(number_in(&slow.receive().await), 5000);
    assert!(group.remove(&peer));
    assert_eq!(warnings("member left its group: total number of messages dropped for it"), 1);
    assert!(log.text().contains("count=101"), "{}", log.text());
    assert_eq!(group.dropped(), 101, "the group still counts it");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_read_is_disconnected() {
    let settings = Group::builder().slow_member(SlowMember::Disconnect);
    let (group, (mut slow, peer), mut fast, sent) = with_full_queue(settings).await;
    assert_eq!(group.dropped(), 1);
    let report = large_event(&group, sent).broadcast().unwrap();
    assert_eq!((report.sent, report.dropped, report.gone), (1, 0, 1));
    assert_eq!(number_in(&fast.receive().await), sent);
    // What was queued arrives before the close frame.
    for number in 0..sent - 1 {
        assert_eq!(number_in(&slow.receive().await), number);
    }
    let frame = slow.receive_close().await.unwrap();
    assert_eq!(u16::from(frame.code), 1013);
    assert_eq!(frame.reason.as_str(), "too slow: the send queue is full");
    slow.wait_for_end().await;
    peer.closed().await;
    assert_eq!(group.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_wait_in_order_until_there_is_space() {
    let settings = Group::builder().slow_member(SlowMember::Wait(60 * SECOND));
    let (group, (mut slow, _peer), mut fast, sent) = with_full_queue(settings).await;
    // The last one waits already.
    for number in sent..sent + 5 {
        let report = large_event(&group, number).broadcast().unwrap();
        assert_eq!((report.sent, report.waiting, report.dropped), (1, 1, 0));
        assert_eq!(number_in(&fast.receive().await), number);
    }
    tokio::time::sleep(59 * SECOND).await;
    for number in 0..sent + 5 {
        assert_eq!(number_in(&slow.receive().await), number);
    }
    assert_eq!(large_event(&group, sent + 5).broadcast().unwrap().sent, 2);
    assert_eq!(number_in(&slow.receive().await), sent + 5);
    assert_eq!(group.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_too_long_are_dropped() {
    let settings = Group::builder().slow_member(SlowMember::Wait(60 * SECOND));
    let (group, (mut slow, _peer), _fast, sent) = with_full_queue(settings).await;
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(large_event(&group, sent).broadcast().unwrap().waiting, 1);
    assert_eq!(group.dropped(), 0);
    tokio::time::sleep(31 * SECOND).await;
    assert_eq!(group.dropped(), 1, "the first one has waited for more than a minute");
    // The second one arrives.
    for number in (0..sent - 1).chain([sent]) {
        assert_eq!(number_in(&slow.receive().await), number);
    }
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(group.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_of_bytes_waits() {
    let settings = Group::builder().slow_member(SlowMember::Wait(60 * SECOND));
    let (group, (slow, peer), _fast, sent) = with_full_queue(settings).await;
    let waiting = (0..100).filter(|number| {
        let report = large_event(&group, sent + number).broadcast().unwrap();
        assert_eq!(report.waiting + report.dropped, 1);
        report.waiting == 1
    });
    // One waits already; the messages are a little larger than SIZE.
    assert_eq!(waiting.count(), QUEUE / SIZE - 1);
    assert_eq!(group.dropped(), 101 - (QUEUE / SIZE) as u64);
    slow.hang_up();
    peer.closed().await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(group.dropped(), 101, "what waits is dropped with the connection");
}

/// The member's own runtime waits.
#[tokio::test(start_paused = true)]
async fn a_thread_without_a_runtime_lets_messages_wait() {
    let settings = Group::builder().slow_member(SlowMember::Wait(60 * SECOND));
    let group = settings.build();
    let (mut slow, _peer) = member_with(&group, small_queue()).await;
    let sending = group.clone();
    let broadcasting = move || {
        let mut sent = 0;
        while large_event(&sending, sent).broadcast().unwrap().waiting == 0 {
            sent += 1;
        }
        sent
    };
    let last = std::thread::spawn(broadcasting).join().unwrap();
    for number in 0..=last {
        assert_eq!(number_in(&slow.receive().await), number);
    }
    assert_eq!((group.dropped(), last), (0, QUEUE / SIZE));
}

/// Without a runtime anywhere, nothing can wait.
#[test]
fn without_a_runtime_messages_are_dropped() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let group = Group::builder().slow_member(SlowMember::Wait(SECOND)).build();
    let empty = Group::new();
    let (mut slow, peer) = runtime.block_on(member_with(&empty, small_queue()));
    assert!(group.insert(&peer));
    let mut sent = 0;
    let report = loop {
        let report = large_event(&group, sent).broadcast().unwrap();
        sent += 1;
        if report.sent == 0 {
            break report;
        }
    };
    assert_eq!((report.waiting, report.dropped, group.dropped()), (0, 1, 1));
    runtime.block_on(async {
        for number in 0..sent - 1 {
            assert_eq!(number_in(&slow.receive().await), number);
        }
        event(&group.peer(), 7).broadcast().unwrap();
        assert!(matches!(slow.socket.next().await, Some(Ok(Message::Text(text))) if number_in(&text) == 7));
    });
}

/// The task that waits for a member is dropped together with the runtime of the broadcaster.
#[tokio::test]
async fn a_runtime_that_ends_leaves_no_member_without_messages() {
    let group = Group::builder().slow_member(SlowMember::Wait(1000 * SECOND)).build();
    let (mut raw, peer) =
        Raw::client_and_peer(wsjsonrpc_tests::server().config(small_queue())).await;
    let joining = group.clone();
    // Without a runtime, so that only the broadcaster's can be used.
    std::thread::spawn(move || assert!(joining.insert(&peer))).join().unwrap();
    let mut sent = 0;
    loop {
        tokio::task::yield_now().await;
        let broadcasting = group.clone();
        let report = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async { large_event(&broadcasting, sent).broadcast() })
        });
        if report.join().unwrap().unwrap().waiting == 1 {
            break;
        }
        sent += 1;
        assert!(sent < 1000, "the queue is never full");
    }
    assert_eq!(group.dropped(), 1, "the message whose task was dropped");
    for number in 0..sent {
        assert_eq!(number_in(&raw.receive().await), number);
    }
    assert_eq!(large_event(&group, sent).broadcast().unwrap().sent, 1);
    assert_eq!(number_in(&raw.receive().await), sent);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_joins_again_gets_nothing_out_of_order() {
    let patience = Group::builder().slow_member(SlowMember::Wait(1000 * SECOND));
    let (group, (mut slow, peer), _fast, sent) = with_full_queue(patience).await;
    let dropped = group.dropped();
    assert!(group.remove(&peer));
    assert_eq!(group.dropped(), dropped + 1, "the message that was waiting");
    assert!(group.insert(&peer));
    for number in 0..sent - 1 {
        assert_eq!(number_in(&slow.receive().await), number);
    }
    large_event(&group, 5000).broadcast().unwrap();
    assert_eq!(number_in(&slow.receive().await), 5000);
}
