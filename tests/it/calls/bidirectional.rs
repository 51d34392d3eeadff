//! Calls in both directions over one connection: nested calls, many concurrent calls,
//! notifications, and the order of messages. In memory and over a real socket.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, ErrorCode, Peer, Result, Server, memory, rpc};
use wsjsonrpc_tests::{Raw, both_ways, first_peer, listen};

#[rpc]
trait Tower {
    /// Calls its caller with `height - 1`, down to zero, and counts the levels on the way back.
    async fn climb(&self, ctx: &Context, height: u32) -> Result<u32>;
    async fn double(&self, ctx: &Context, x: u64) -> Result<u64>;
    async fn repeat(&self, ctx: &Context, text: &str, times: usize) -> Result<String>;
}

struct Stairs;

impl Tower for Stairs {
    async fn climb(&self, ctx: &Context, height: u32) -> Result<u32> {
        match height.checked_sub(1) {
            None => Ok(0),
            Some(less) => Ok(ctx.client::<TowerClient>().climb(less).await? + 1),
        }
    }

    async fn double(&self, _: &Context, x: u64) -> Result<u64> {
        Ok(2 * x)
    }

    async fn repeat(&self, _: &Context, text: &str, times: usize) -> Result<String> {
        Ok(text.repeat(times))
    }
}

fn client(config: &Config) -> ClientBuilder {
    Client::builder().service(Stairs.into_service()).config(config.clone())
}

fn server(config: &Config) -> ServerBuilder {
    Server::builder().service(Stairs.into_service()).config(config.clone())
}

async fn pairs(config: Config) -> [(Client, Peer); 2] {
    both_ways(|| client(&config), || server(&config)).await
}

#[tokio::test]
async fn handlers_call_each_other_a_hundred_deep() {
    let config = Config { max_in_flight: 1000, ..Config::default() };
    for (client, _) in pairs(config).await {
        let tower = TowerClient::new(&client);
        assert_eq!(tower.climb(100).await.unwrap(), 100);
        assert_eq!(client.peer().pending_calls(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_nested_calls_return_from_their_own_depth() {
    for (client, caller) in pairs(Config::default()).await {
        let (up, down) = (TowerClient::new(&client), TowerClient::new(caller));
        let mut climbs = JoinSet::new();
        for height in 0..20 {
            for tower in [up.clone(), down.clone()] {
                climbs.spawn(async move { (height, tower.climb(height).await) });
            }
        }
        while let Some(joined) = climbs.join_next().await {
            let (height, floors) = joined.unwrap();
            assert_eq!(floors.unwrap(), height);
        }
    }
}

/// Nested more deeply than `max_in_flight` allows: the call fails and does not deadlock.
#[tokio::test]
async fn nesting_over_max_in_flight_fails_without_deadlock() {
    let config = Config { max_in_flight: 10, ..Config::default() };
    for (client, _) in pairs(config).await {
        let tower = TowerClient::new(&client);
        let Err(Error::Call(error)) = tower.climb(100).await else { panic!("nesting must fail") };
        assert_eq!(error.code(), ErrorCode::INTERNAL_ERROR);
        assert_eq!(tower.climb(10).await.unwrap(), 10);
    }
}

/// Ten thousand calls of `double` from one side, all at once.
fn doubles(tower: TowerClient) -> impl Future<Output = ()> {
    const CALLS: u64 = 10_000;
    let mut calls = JoinSet::new();
    for x in 0..CALLS {
        let call = tower.double(x).without_timeout();
        calls.spawn(async move { (x, call.await) });
    }
    async move {
        let mut answered = 0;
        while let Some(joined) = calls.join_next().await {
            let (x, doubled) = joined.unwrap();
            assert_eq!(doubled.unwrap(), 2 * x);
            answered += 1;
        }
        assert_eq!(answered, CALLS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_each_way_complete_on_several_threads() {
    for (client, caller) in pairs(Config::default()).await {
        let (up, down) = (TowerClient::new(&client), TowerClient::new(caller.clone()));
        let (up, down) = (tokio::spawn(doubles(up)), tokio::spawn(doubles(down)));
        up.await.unwrap();
        down.await.unwrap();
        assert_eq!((client.peer().pending_calls(), caller.pending_calls()), (0, 0));
    }
}

#[tokio::test]
async fn ten_thousand_calls_each_way_complete_on_one_thread() {
    for (client, caller) in pairs(Config::default()).await {
        tokio::join!(doubles(TowerClient::new(&client)), doubles(TowerClient::new(caller)));
    }
}

/// The responses are far larger than the calls, and together far larger than the send queue (the
/// calls are not). Neither side may wait for the other to read first. With the paused clock, a
/// deadlock ends at once with a timeout.
#[tokio::test(start_paused = true)]
async fn answers_far_over_the_send_queue_do_not_deadlock() {
    let config = Config { max_send_queue: 256 * 1024, ..Config::default() };
    let (client, caller) = memory::pair(client(&config), server(&config)).unwrap();
    let mut calls = JoinSet::new();
    for number in 0..1000 {
        for tower in [TowerClient::new(&client), TowerClient::new(caller.clone())] {
            let text = format!("{number} ");
            calls.spawn(async move {
                let repeated = tower.repeat(&text, 4000).without_timeout().await;
                (text, repeated)
            });
        }
    }
    while let Some(joined) = calls.join_next().await {
        let (text, repeated) = joined.unwrap();
        assert_eq!(repeated.unwrap(), text.repeat(4000));
    }
}

#[tokio::test]
async fn a_server_calls_a_client_that_has_called_nothing() {
    let (url, endpoint) = listen(Server::builder()).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let client = Client::builder().method("told", move |_, (text,): (String,)| {
        let sent = tell.send(text);
        async move { Ok(sent?) }
    });
    let client = client.service(Stairs.into_service()).connect(&url).await.unwrap();
    // The client may finish the handshake before the server has listed the connection.
    let peer = first_peer(&endpoint).await;
    assert_eq!(TowerClient::new(&peer).double(21).await.unwrap(), 42);
    peer.notify("told", ("news",)).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "news");
    assert_eq!(client.peer().pending_calls(), 0);

    // In memory there is no handshake between them.
    let (_client, peer) =
        memory::pair(self::client(&Config::default()), Server::builder()).unwrap();
    assert_eq!(TowerClient::new(&peer).double(21).await.unwrap(), 42);
}

#[tokio::test]
async fn servers_use_string_ids_and_clients_use_numbers() {
    let server = server(&Config::default());
    let mut raw = Raw::client(server).await;
    raw.send(r#"{"jsonrpc":"2.0","method":"climb","params":[1],"id":"s1"}"#).await;
    let request: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!((&request["method"], request["id"].is_string()), (&"climb".into(), true));
    let answer = serde_json::json!({"jsonrpc": "2.0", "result": 41, "id": request["id"]});
    let expected = r#"{"jsonrpc":"2.0","result":42,"id":"s1"}"#;
    assert_eq!(raw.ask(answer.to_string()).await, expected);

    let (mut raw, client) = Raw::server(Client::builder()).await;
    let tower = TowerClient::new(&client);
    let waiting = tokio::spawn(async move { tower.double(1).await });
    let request: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert!(request["id"].is_u64());
    raw.send(format!(r#"{{"jsonrpc":"2.0","result":2,"id":{}}}"#, request["id"])).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
}

/// A method that sends its caller a notification for each number, and then returns.
fn counter() -> ServerBuilder {
    Server::builder().method("count", |ctx: Context, (to,): (u32,)| async move {
        for number in 1..=to {
            ctx.peer().notify("number", (number,)).await?;
        }
        Ok("done")
    })
}

/// A client that passes on the numbers it receives.
fn listener() -> (ClientBuilder, mpsc::UnboundedReceiver<u32>) {
    let (tell, told) = mpsc::unbounded_channel();
    let client = Client::builder().method("number", move |_, (number,): (u32,)| {
        let sent = tell.send(number);
        async move { Ok(sent?) }
    });
    (client, told)
}

/// Clients of a counter, in memory and over a socket, with the numbers that they receive.
async fn counted() -> [(Client, mpsc::UnboundedReceiver<u32>); 2] {
    let (in_memory, numbers_in_memory) = listener();
    let (over_socket, numbers_over_socket) = listener();
    let (url, _) = listen(counter()).await;
    [
        (memory::pair(in_memory, counter()).unwrap().0, numbers_in_memory),
        (over_socket.connect(&url).await.unwrap(), numbers_over_socket),
    ]
}

#[tokio::test]
async fn messages_of_a_handler_arrive_before_its_response() {
    let mut raw = Raw::client(counter()).await;
    let number = |number| format!(r#"{{"jsonrpc":"2.0","method":"number","params":[{number}]}}"#);
    let request = r#"{"jsonrpc":"2.0","method":"count","params":[3],"id":1}"#;
    let answer = r#"{"jsonrpc":"2.0","result":"done","id":1}"#;
    raw.check(request, &[&number(1), &number(2), &number(3), answer]).await;

    for (client, mut numbers) in counted().await {
        for _ in 0..50 {
            assert_eq!(client.peer().call::<String>("count", (3,)).await.unwrap(), "done");
            let arrived: Vec<u32> = std::iter::from_fn(|| numbers.try_recv().ok()).collect();
            assert_eq!(arrived, [1, 2, 3]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_arrive_in_the_order_they_were_sent() {
    const LAST: u32 = 10_000;
    for (client, mut numbers) in counted().await {
        let call = client.peer().call::<String>("count", (LAST,));
        let counting = tokio::spawn(call.into_future());
        for number in 1..=LAST {
            assert_eq!(numbers.recv().await, Some(number));
        }
        assert_eq!(counting.await.unwrap().unwrap(), "done");
    }
}

#[tokio::test]
async fn a_client_without_services_answers_method_not_found() {
    for (client, caller) in both_ways(Client::builder, Server::builder).await {
        let Err(Error::Call(error)) = caller.call::<()>("double", (1,)).await else {
            panic!("the client has no methods")
        };
        assert_eq!((error.code().0, error.message()), (-32601, "Method not found: \"double\""));
        caller.notify("double", (1,)).await.unwrap();
        assert!(matches!(caller.call::<()>("double", (1,)).await, Err(Error::Call(_))));
        assert!(!client.peer().is_closed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_pushes_to_many_clients_and_each_gets_all_in_order() {
    const CLIENTS: usize = 50;
    const PUSHES: u32 = 100;
    let (url, endpoint) = listen(counter()).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (client, numbers) = listener();
        let client = client.connect(&url).await.unwrap();
        // The response shows that the server has listed the connection.
        client.peer().call::<String>("count", (0,)).await.unwrap();
        clients.push((client, numbers));
    }
    let peers: Vec<_> = endpoint.connections().iter().map(|it| it.peer()).collect();
    assert_eq!(peers.len(), CLIENTS);
    for number in 1..=PUSHES {
        for peer in &peers {
            peer.notify("number", (number,)).await.unwrap();
        }
    }
    for (_, numbers) in &mut clients {
        for number in 1..=PUSHES {
            assert_eq!(numbers.recv().await, Some(number));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_servers_call_to_a_client_that_does_not_answer_times_out() {
    let client = Client::builder().method("never", |_, ()| std::future::pending::<Result<()>>());
    let (_client, caller) = memory::pair(client, Server::builder()).unwrap();
    let call = caller.call::<()>("never", ()).timeout(Duration::from_secs(1));
    assert!(matches!(call.await, Err(Error::Timeout(_))));
    assert!(matches!(caller.call::<()>("never", ()).await, Err(Error::Timeout(_))));
    assert_eq!(caller.pending_calls(), 0);
}
