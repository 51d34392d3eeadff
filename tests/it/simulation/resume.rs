//! A channel, and a consumer that resumes over connections that break at random and a server that
//! restarts at random: the consumer gets each item once and in order, or one gap.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wsjsonrpc::client::Reconnect;
use wsjsonrpc::error::Gap;
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Channel, Client, Context, Endpoint, Error, Methods, Server};

use super::dice::{Dice, network};
use super::{BOUND, Seed, variable};

/// The server of the moment. A restart replaces both.
type Current = Arc<Mutex<(Channel<u64>, Endpoint)>>;

fn start(dice: &mut Dice, plenty: bool) -> (Channel<u64>, Endpoint) {
    let replay = if plenty { 100_000 } else { dice.pick(&[0, 1, 5, 20]) };
    let buffer = if plenty { 100_000 } else { dice.pick(&[1, 4, 1000]) };
    let channel = Channel::builder().replay(replay).buffer(buffer).build();
    let source = channel.clone();
    let subscribe = move |ctx: Context, ()| {
        let stream = source.subscribe(&ctx);
        async move { Ok(stream) }
    };
    let methods = Methods::new().subscription(Topic::new("news"), subscribe);
    (channel, Server::builder().service(methods).build().unwrap())
}

/// What one run has seen.
#[derive(Default)]
struct Seen {
    items: u64,
    restarted: u64,
    expired: u64,
    dropped: u64,
    resubscribed: u64,
}

#[test]
fn each_item_arrives_once_or_there_is_one_gap() {
    let seeds = match variable("WSJSONRPC_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("WSJSONRPC_SIMULATION_SEEDS").unwrap_or(1000) / 10,
    };
    let many = seeds.end - seeds.start >= 100;
    let mut all = Seen::default();
    for seed in seeds {
        let _named_if_it_fails = Seed(seed);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let seen = runtime.block_on(async { timeout(BOUND, run(Dice::new(seed))).await });
        let seen = seen.expect("the run ends");
        all.items += seen.items;
        all.restarted += seen.restarted;
        all.expired += seen.expired;
        all.dropped += seen.dropped;
        all.resubscribed += seen.resubscribed;
    }
    if many {
        // All of these must occur, because a simulation without events finds no bugs.
        let Seen { items, restarted, expired, dropped, resubscribed } = all;
        println!("{items} items, gaps: {restarted} {expired} {dropped} {resubscribed}");
        assert!(items > 1000 && restarted > 0 && expired > 0 && dropped > 0 && resubscribed > 0);
    }
}

async fn run(mut dice: Dice) -> Seen {
    // Without restarts and with a large log, nothing may be missing.
    let plenty = dice.one_in(3);
    let restarts = !plenty && dice.one_in(2);
    let current: Current = Arc::new(Mutex::new(start(&mut dice, plenty)));
    let (servers, mut links) = (Arc::clone(&current), dice.fork());
    let begun = Instant::now();
    let quiet = Duration::from_secs(120);
    let connect = move || {
        // In the end, the network is good.
        let breaks = begun.elapsed() < quiet;
        let (ours, theirs) = network(&mut links, breaks);
        let endpoint = servers.lock().unwrap().1.clone();
        tokio::spawn(async move { endpoint.serve(theirs, None).await });
        async move { Ok(ours) }
    };
    let connect = Mutex::new(connect);
    let client = Client::builder()
        .reconnect(Reconnect {
            max: Duration::from_secs(5),
            retry_first: true,
            ..Reconnect::default()
        })
        .connect_with("ws://simulated/", move || (connect.lock().unwrap())())
        .await
        .unwrap();
    let mut news = loop {
        let window = dice.pick(&[1, 500, 1 << 20]);
        match client.peer().subscribe::<u64>("news", ()).window(window).resume().await {
            Ok(news) => break news,
            Err(Error::Closed(_) | Error::Timeout(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let (servers, mut pace) = (Arc::clone(&current), dice.fork());
    let publishing = tokio::spawn(async move {
        let mut number = 0;
        while begun.elapsed() < quiet + Duration::from_secs(60) {
            sleep(Duration::from_millis(pace.below(2000))).await;
            if restarts && pace.one_in(20) && begun.elapsed() < quiet {
                let next = start(&mut pace, false);
                let (_, old) = std::mem::replace(&mut *servers.lock().unwrap(), next);
                for connection in old.connections() {
                    connection.close(1001, "restarting");
                }
            }
            let channel = servers.lock().unwrap().0.clone();
            for _ in 0..pace.below(10) {
                number += 1;
                channel.publish(&number).unwrap();
            }
        }
        servers.lock().unwrap().0.close();
        number
    });

    let mut seen = Seen::default();
    let (mut last, mut first) = (0, true);
    // The gaps since the last item: how many items are missing, if it is known.
    let mut gaps: Vec<Option<u64>> = Vec::new();
    while let Some(item) = news.next().await {
        match item {
            Ok(number) => {
                assert!(first || number > last, "{number} after {last}");
                match &gaps[..] {
                    _ if first => {}
                    [] => assert_eq!(number, last + 1, "items are missing without a gap"),
                    gaps if gaps.contains(&None) => {}
                    gaps => {
                        let missed: u64 = gaps.iter().flatten().sum();
                        assert_eq!(number, last + 1 + missed, "{gaps:?}");
                    }
                }
                (last, first) = (number, false);
                gaps.clear();
                seen.items += 1;
            }
            Err(Error::Gap(gap)) => {
                assert!(!plenty || first, "{gap}");
                gaps.push(match gap {
                    Gap::Expired { missed, .. } => {
                        seen.expired += 1;
                        Some(missed)
                    }
                    Gap::Dropped { missed, .. } => {
                        seen.dropped += 1;
                        Some(missed)
                    }
                    Gap::Restarted => {
                        assert!(restarts);
                        seen.restarted += 1;
                        None
                    }
                    Gap::Resubscribed => {
                        assert!(first, "the server sends positions");
                        seen.resubscribed += 1;
                        None
                    }
                    gap => panic!("{gap}"),
                });
            }
            Err(error) => panic!("{error}"),
        }
        if dice.one_in(10) {
            sleep(Duration::from_millis(dice.below(3000))).await;
        }
    }
    let published = publishing.await.unwrap();
    // The end may come after a gap.
    assert!(last == published || !gaps.is_empty() || first, "{last} of {published}");
    seen
}
