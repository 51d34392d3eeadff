//! Networks with faults: a seed always gives the same faults; what both ends notice of each fault,
//! and when. The clock is paused, so the tests do not wait.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::testing::{self, Cut, Direction, Faults, Network};
use wsjsonrpc::{Client, Config, Error};
use wsjsonrpc_tests::{MILLISECOND, SECOND, begin, server};

fn config() -> Config {
    Config { ping_interval: Some(10 * SECOND), call_timeout: None, ..Config::default() }
}

fn client() -> ClientBuilder {
    Client::builder().config(config())
}

/// The pieces that arrive, with their times.
async fn pieces(faults: Faults, sent: &'static [u8]) -> Vec<(Duration, Vec<u8>)> {
    let begin = Instant::now();
    let (mut client, mut server) = Network::new(faults).open();
    tokio::spawn(async move { client.write_all(sent).await });
    let (mut pieces, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let count @ 1.. = server.read(&mut buffer).await.unwrap() {
        pieces.push((begin.elapsed(), buffer[..count].to_vec()));
    }
    pieces
}

static BYTES: [u8; 5000] = {
    let mut bytes = [0; 5000];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = (at % 251) as u8;
        at += 1;
    }
    bytes
};

#[tokio::test(start_paused = true)]
async fn bytes_arrive_in_pieces_late_and_whole() {
    let faults = |seed| Faults::seeded(seed).split(100).delay(5 * MILLISECOND..=50 * MILLISECOND);
    let first = pieces(faults(7), &BYTES).await;
    let all: Vec<u8> = first.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(all, BYTES);
    assert!(first.len() > 50, "{}", first.len());
    // The bytes were in flight at the same time, not one after another.
    let ended = first.last().unwrap().0;
    assert!(first[0].0 >= 5 * MILLISECOND && ended <= 51 * MILLISECOND, "{ended:?}");

    assert_eq!(pieces(faults(7), &BYTES).await, first);
    assert_ne!(pieces(faults(8), &BYTES).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_cut_comes_behind_the_bytes_before_it() {
    for cut in [Cut::End, Cut::Abrupt] {
        let faults = Faults::seeded(1).cut_after(Direction::ToServer, 1234, cut).split(60);
        let pieces = pieces(faults.delay(MILLISECOND..=SECOND), &BYTES).await;
        let all: Vec<u8> = pieces.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(all, BYTES[..1234]);
    }
}

/// Two runs; the second uses the numbers of the first.
#[tokio::test(start_paused = true)]
async fn a_seed_gives_the_same_connections_each_time() {
    async fn run(seed: u64) -> Vec<(Duration, u64, u64)> {
        let faults = Faults::seeded(seed)
            .delay(Duration::ZERO..=100 * MILLISECOND)
            .split(64)
            .cut_within(Direction::ToServer, 300..=3000, Cut::Abrupt)
            .cut_within(Direction::ToClient, 300..=3000, Cut::End);
        let network = Network::new(faults);
        let endpoint = server().config(config()).build().unwrap();
        let reconnect = Reconnect { jitter: 0.0, ..Reconnect::default() };
        let client = client()
            .reconnect(reconnect)
            .connect_with("ws://localhost/", network.connector(&endpoint))
            .await
            .unwrap();
        let begin = Instant::now();
        let mut seen = Vec::new();
        for number in 0..50 {
            let text = format!("{number} ").repeat(number);
            let call = client.peer().call::<String>("echo", (&text,)).idempotent();
            assert_eq!(call.await.unwrap(), text);
            seen.push((begin.elapsed(), network.opened(), network.carried(Direction::ToClient)));
        }
        seen
    }
    let first = run(3).await;
    assert!(first.last().unwrap().1 > 3, "{first:?}");
    assert_eq!(run(3).await, first);
    assert_ne!(run(4).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_cut_fails_the_calls_that_are_pending_on_both_sides() {
    for cut in [Cut::Abrupt, Cut::End] {
        let (client, caller, network) = testing::pair(
            client().method("never", |_, ()| async {
                std::future::pending::<wsjsonrpc::Result<()>>().await
            }),
            server().config(config()),
            Faults::seeded(1),
        )
        .unwrap();
        let there = begin(client.peer().call::<()>("never", ()).into_future()).await;
        let back = begin(caller.call::<()>("never", ()).into_future()).await;
        network.cut(cut);
        for outcome in [there.await, back.await] {
            assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
        }
    }
}

/// Neither side gets an error, so keep-alive has to notice: one and a half intervals after the last
/// bytes.
#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_noticed_by_both_sides() {
    let (client, caller, network) =
        testing::pair(client(), server().config(config()), Faults::seeded(1)).unwrap();
    let text = client.peer().call::<String>("echo", ("hello",)).await.unwrap();
    assert_eq!(text, "hello");
    let call = begin(client.peer().call::<()>("never", ()).into_future()).await;
    let cut_at = Instant::now();
    network.cut(Cut::HalfOpen);
    assert!(matches!(call.await, Err(Error::Closed(CloseReason::Unresponsive))));
    assert!(matches!(caller.closed().await, CloseReason::Unresponsive));
    assert!(cut_at.elapsed() <= 15 * SECOND + SECOND, "{:?}", cut_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_network_takes_nothing_and_a_stall_ends() {
    let network = Network::new(Faults::seeded(1).buffer(100));
    let (mut client, mut server) = network.open();
    network.stall_direction(Direction::ToServer, 5 * SECOND);
    let begin = Instant::now();
    server.write_all(b"the other way").await.unwrap();
    let mut seen = [0; 13];
    client.read_exact(&mut seen).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);
    client.write_all(&BYTES[..50]).await.unwrap();
    let mut seen = [0; 50];
    server.read_exact(&mut seen).await.unwrap();
    assert_eq!((begin.elapsed(), &seen[..]), (5 * SECOND, &BYTES[..50]));

    network.cut_direction(Direction::ToServer, Cut::Stuck);
    let writing = timeout(SECOND, client.write_all(&BYTES)).await;
    assert!(writing.is_err(), "the bytes were accepted");
    assert!(timeout(SECOND, server.read_u8()).await.is_err(), "something has arrived");

    // Later connections use the settings again.
    let (mut client, mut server) = network.open();
    client.write_all(b"x").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');
}

/// A process that has stopped, or whose cable was pulled, can still be killed.
#[tokio::test(start_paused = true)]
async fn a_half_open_or_stuck_connection_can_still_be_cut() {
    for cut in [Cut::HalfOpen, Cut::Stuck, Cut::End] {
        let network = Network::new(Faults::seeded(1));
        let (mut client, _server) = network.open();
        client.write_all(b"unread").await.unwrap();
        network.cut(cut);
        tokio::time::sleep(SECOND).await;
        network.cut(Cut::Abrupt);
        tokio::time::sleep(SECOND).await;
        let ended = timeout(SECOND, client.read_u8()).await;
        assert!(matches!(ended, Ok(Err(_))), "{cut:?}: {ended:?}");
        assert!(
            client.write_all(b"more").await.is_err(),
            "{cut:?}: the stream still accepts bytes"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconnecting_client_survives_each_cut() {
    let network = Network::new(Faults::seeded(5).delay(MILLISECOND..=20 * MILLISECOND));
    let endpoint = server().config(config()).build().unwrap();
    let client = client()
        .reconnect(Reconnect::default())
        .connect_with("ws://localhost/", network.connector(&endpoint))
        .await
        .unwrap();
    for (number, cut) in (1..).zip([Cut::Abrupt, Cut::End, Cut::HalfOpen, Cut::Stuck]) {
        assert_eq!(network.opened(), number);
        let call = client.peer().call::<String>("echo", ("kept",)).idempotent();
        let call = begin(call.into_future()).await;
        network.cut(cut);
        assert_eq!(call.await.unwrap(), "kept", "{cut:?}");
    }
    // A setting for new connections stays until the next `set_faults`.
    network.set_faults(Faults::seeded(5).cut_after(Direction::ToServer, 0, Cut::Abrupt));
    network.cut(Cut::Abrupt);
    let mut states = client.states();
    loop {
        if let ConnectionState::Down { attempt: 3, .. } = states.next().await.unwrap() {
            break;
        }
    }
    network.set_faults(Faults::seeded(5));
    assert_eq!(client.peer().call::<String>("echo", ("again",)).await.unwrap(), "again");
    client.close().await;
}

/// When both ends are dropped, the task between them ends, whatever its state.
#[test]
fn nothing_is_left_of_an_ended_connection() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        for cut in [None, Some(Cut::Stuck), Some(Cut::HalfOpen), Some(Cut::End)] {
            let network = Network::new(Faults::seeded(1));
            let (mut client, server) = network.open();
            client.write_all(b"unread").await.unwrap();
            if let Some(cut) = cut {
                network.cut(cut);
            }
            tokio::time::sleep(SECOND).await;
            drop((client, server));
            tokio::time::sleep(SECOND).await;
            assert_eq!(runtime.metrics().num_alive_tasks(), 0, "{cut:?}");
        }
    });
}
