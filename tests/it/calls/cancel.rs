//! Cancellation on the wire: `$/cancelRequest` sent and received, before, during and after the
//! call, alone and in batches. Each cancelled request gets exactly one response.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::mpsc;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, Peer, SendTo, Server};
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, begin, busy, cancel, cancelled, empty_batch, id_of, in_flight,
    method_not_found, notification, poll_once, request, result, wait_for_in_flight,
};

/// `gated` waits at the gate and returns its argument; `quick` returns it at once.
fn server(gate: &Gate, config: Config) -> ServerBuilder {
    let gate = gate.clone();
    Server::builder()
        .config(config)
        .method("gated", move |_: Context, (value,): (u64,)| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(value)
            }
        })
        .method("quick", |_: Context, (value,): (u64,)| async move { Ok(value) })
}

async fn raw_client() -> (Raw, Gate) {
    let gate = Gate::default();
    (Raw::client(server(&gate, Config::default())).await, gate)
}

/// A client whose requests carry no timeout.
fn untimed(send_cancel: SendTo) -> ClientBuilder {
    let config = Config { send_cancel, call_timeout: None, ..Config::default() };
    Client::builder().config(config)
}

/// Checks that nothing else was sent: the next message is a call made by this function, with this
/// id.
async fn nothing_came(raw: &mut Raw, peer: &Peer, id: &str) {
    let sentinel = begin(peer.call::<()>("sentinel", ()).without_timeout().into_future()).await;
    let expected = format!(r#"{{"jsonrpc":"2.0","method":"sentinel","id":{id}}}"#);
    assert_eq!(raw.receive().await, expected);
    raw.send(result("null", id)).await;
    sentinel.await.unwrap();
}

/// Drops calls in all states; `id` is how this side writes its ids.
async fn drop_calls(mut raw: Raw, peer: Peer, id: impl Fn(u64) -> String) {
    // Never polled, so never sent.
    drop(peer.call::<()>("m", ()).into_future());
    let call = begin(peer.call::<()>("m", ()).without_timeout().into_future()).await;
    let first = id(1);
    let sent = format!(r#"{{"jsonrpc":"2.0","method":"m","id":{first}}}"#);
    assert_eq!(raw.receive().await, sent);
    drop(call);
    assert_eq!(raw.receive().await, cancel(&first));
    assert_eq!(peer.pending_calls(), 0);
    // A response to the cancelled call is ignored, whatever it is.
    raw.send(cancelled(&first)).await;

    let call = begin(peer.call::<u8>("m", ()).without_timeout().into_future()).await;
    raw.receive().await;
    raw.send(result("7", &id(2))).await;
    assert_eq!(call.await.unwrap(), 7);
    // The response has arrived, so there is nothing to cancel, whether or not the caller was
    // polled.
    let call = begin(peer.call::<u8>("m", ()).without_timeout().into_future()).await;
    raw.receive().await;
    raw.send(result("7", &id(3))).await;
    nothing_came(&mut raw, &peer, &id(4)).await;
    drop(call);
    nothing_came(&mut raw, &peer, &id(5)).await;
}

#[tokio::test]
async fn a_client_cancels_dropped_calls() {
    let (raw, client) = Raw::knowing_server(untimed(SendTo::Known)).await;
    drop_calls(raw, client.peer(), |id| id.to_string()).await;
}

#[tokio::test]
async fn a_server_cancels_dropped_calls() {
    let (raw, peer) = Raw::knowing_client(Server::builder()).await;
    drop_calls(raw, peer, |id| format!("\"s{id}\"")).await;
}

#[tokio::test]
async fn cancellations_are_sent_only_to_the_chosen_peers() {
    use SendTo::{Everyone, Known, Nobody};
    let cases = [
        (Known, false, false),
        (Everyone, false, true),
        (Everyone, true, true),
        (Nobody, true, false),
    ];
    for (to, knows, told) in cases {
        let (mut raw, client) = match knows {
            true => Raw::knowing_server(untimed(to)).await,
            false => Raw::server(untimed(to)).await,
        };
        let peer = client.peer();
        drop(begin(peer.call::<()>("m", ()).into_future()).await);
        assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
        if told {
            assert_eq!(raw.receive().await, cancel("1"), "{to:?}");
        }
        nothing_came(&mut raw, &peer, "2").await;
    }
}

#[tokio::test]
async fn calls_of_a_batch_are_cancelled_one_by_one() {
    let (mut raw, client) = Raw::knowing_server(untimed(SendTo::Known)).await;
    let peer = client.peer();
    let mut unsent = peer.new_batch();
    let dropped = unsent.add(peer.call::<u8>("m", ()));
    drop((unsent, dropped));

    let mut batch = peer.new_batch();
    let (a, b) = (batch.add(peer.call::<u8>("a", ())), batch.add(peer.call::<u8>("b", ())));
    batch.send().await.unwrap();
    assert!(raw.receive().await.starts_with('['));
    drop(a);
    assert_eq!(raw.receive().await, cancel("2"));
    raw.send(format!("[{},{}]", cancelled("2"), result("5", "3"))).await;
    assert_eq!(b.await.unwrap(), 5);

    let both =
        begin(peer.batch((peer.call::<u8>("a", ()), peer.call::<u8>("b", ()))).into_future());
    drop(both.await);
    raw.receive().await;
    assert_eq!(raw.receive().await, cancel("4"));
    assert_eq!(raw.receive().await, cancel("5"));
    nothing_came(&mut raw, &peer, "6").await;
}

#[tokio::test]
async fn only_requests_in_flight_can_be_cancelled() {
    let (mut raw, gate) = raw_client().await;
    for id in ["1", "-7", "1.50", "\"a\"", "null", "\"\\u0061b\""] {
        // Before the call: the id is unknown.
        raw.check(&cancel(id), &[]).await;
        raw.check(&request("quick", "[4]", id), &[&result("4", id)]).await;
        // After.
        raw.check(&cancel(id), &[]).await;
        raw.send(request("gated", "[5]", id)).await;
        gate.arrived(1).await;
        raw.check(&cancel("\"of nobody\""), &[]).await;
        // During the call: the response is sent at once, while the handler still runs.
        raw.check(&cancel(id), &[&cancelled(id)]).await;
        raw.check(&cancel(id), &[]).await;
        // A new call with the same id is a different call.
        raw.send(request("gated", "[6]", id)).await;
        gate.arrived(1).await;
        gate.open(2);
        assert_eq!(raw.receive().await, result("6", id));
    }
    for params in ["[]", "{}", "[[1]]", r#"{"id":[1]}"#, r#"{"id":{}}"#, r#"{"id":true}"#] {
        raw.check(&notification("$/cancelRequest", params), &[]).await;
    }
    raw.check(r#"{"jsonrpc":"2.0","method":"$/cancelRequest"}"#, &[]).await;
    let unknown = method_not_found("$/cancelRequest", "1");
    raw.check(&request("$/cancelRequest", r#"{"id":1}"#, "1"), &[&unknown]).await;
}

/// Ids are compared by value, however they are written.
#[tokio::test]
async fn a_call_is_found_by_the_value_of_its_id() {
    let (mut raw, gate) = raw_client().await;
    let long = "x".repeat(200);
    let (long, other) = (format!("\"a{long}\""), format!("\"\\u0061{long}\""));
    for (id, given, found) in [
        ("\"a\"", "\"\\u0061\"", true),
        ("\"\\u0061\"", "\"a\"", true),
        ("1", "1.0", true),
        ("1.0", "1", true),
        ("10", "1e1", true),
        ("1", "\"1\"", false),
        ("\"a\"", "\"A\"", false),
        ("9007199254740993", "9007199254740992.0", false),
        // Long ids are compared as text, because comparing their values would take too long.
        (&long, &other, false),
    ] {
        raw.send(request("gated", "[5]", id)).await;
        gate.arrived(1).await;
        let answer = cancelled(id);
        let answers = [&*answer];
        raw.check(&cancel(given), if found { &answers } else { &[] }).await;
        gate.open(1);
        if !found {
            assert_eq!(raw.receive().await, result("5", id));
        }
    }
}

#[tokio::test]
async fn of_two_calls_with_one_id_the_first_is_cancelled() {
    let (mut raw, gate) = raw_client().await;
    raw.send(request("gated", "[1]", "9")).await;
    raw.send(request("gated", "[2]", "9")).await;
    gate.arrived(2).await;
    raw.check(&cancel("9"), &[&cancelled("9")]).await;
    gate.open(2);
    assert_eq!(raw.receive().await, result("2", "9"));
}

#[tokio::test]
async fn entries_of_a_batch_can_be_cancelled() {
    let (mut raw, gate) = raw_client().await;
    // Cancelling the pending entry completes the array.
    raw.send(format!("[{},{}]", request("gated", "[1]", "1"), request("quick", "[2]", "2"))).await;
    gate.arrived(1).await;
    let array = format!("[{},{}]", cancelled("1"), result("2", "2"));
    assert_eq!(raw.ask(cancel("1")).await, array);
    // In the same array, before or after the call: the entries of a batch have no order.
    for parts in [
        [request("gated", "[1]", "1"), cancel("1"), request("quick", "[2]", "2")],
        [cancel("1"), request("gated", "[1]", "1"), request("quick", "[2]", "2")],
        [request("gated", "[1]", "1"), request("quick", "[2]", "2"), cancel("1")],
    ] {
        raw.check(&format!("[{}]", parts.join(",")), &[&array]).await;
    }
    raw.check(&format!("[{},{}]", cancel("1"), cancel("7")), &[]).await;
    // The other entries are not affected.
    raw.send(format!("[{},{}]", request("gated", "[1]", "1"), request("gated", "[2]", "2"))).await;
    raw.check(&cancel("2"), &[]).await;
    gate.open(6);
    assert_eq!(raw.receive().await, format!("[{},{}]", result("1", "1"), cancelled("2")));
}

#[tokio::test]
async fn handlers_of_cancelled_calls_count_until_they_end() {
    let gate = Gate::default();
    let config = Config { max_in_flight: 3, ..Config::default() };
    let (mut raw, peer) = Raw::client_and_peer(server(&gate, config)).await;
    for id in 0..50 {
        let id = id.to_string();
        raw.send(request("gated", "[1]", &id)).await;
        raw.send(cancel(&id)).await;
        let outcome = raw.receive().await;
        let begun = id.parse::<u32>().unwrap() < 3;
        let expected = if begun { cancelled(&id) } else { busy(&id) };
        assert_eq!(outcome, expected);
    }
    assert_eq!(in_flight(&peer), 3);
    gate.open(3);
    wait_for_in_flight(&peer, 0).await;
    raw.check(&request("quick", "[8]", "8"), &[&result("8", "8")]).await;
}

#[tokio::test]
async fn a_cancelled_handler_may_still_panic_or_fail() {
    let (told, mut seen) = mpsc::unbounded_channel();
    let server = Server::builder().method("work", move |ctx: Context, (then,): (String,)| {
        let told = told.clone();
        async move {
            assert!(!ctx.is_cancelled());
            let other = ctx.clone();
            tokio::join!(ctx.cancelled(), other.cancelled());
            ctx.cancelled().await;
            told.send(ctx.is_cancelled()).unwrap();
            match &*then {
                "panic" => std::panic::resume_unwind(Box::new("as it should")),
                "fail" => Err(std::io::Error::other("as it should").into()),
                _ => Ok(1),
            }
        }
    });
    let mut raw = Raw::client(server).await;
    for then in ["\"panic\"", "\"fail\"", "\"succeed\""] {
        raw.send(request("work", &format!("[{then}]"), "1")).await;
        raw.check(&cancel("1"), &[&cancelled("1")]).await;
        assert_eq!(seen.recv().await, Some(true));
        raw.check(&cancel("1"), &[]).await;
    }
}

/// A kept clone of a context sees only the cancellation of its own call, even if the peer uses an
/// id twice.
#[tokio::test]
async fn a_kept_context_sees_only_its_own_cancellation() {
    let (keep, mut kept) = mpsc::unbounded_channel();
    let server = Server::builder().method("keep", move |ctx: Context, (wait,): (bool,)| {
        keep.send(ctx.clone()).unwrap();
        async move {
            if wait {
                ctx.cancelled().await;
            }
            Ok(())
        }
    });
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    raw.check(&request("keep", "[false]", "1"), &[&result("null", "1")]).await;
    let old = kept.recv().await.unwrap();
    let cloned = old.clone();
    let mut waiting = begin(cloned.cancelled()).await;
    raw.send(request("keep", "[true]", "1")).await;
    raw.check(&cancel("1"), &[&cancelled("1")]).await;
    let new = kept.recv().await.unwrap();
    assert!(!old.is_cancelled());
    assert!(poll_once(&mut waiting).await.is_pending());
    // Its handler has ended, so the cancellation no longer applies.
    wait_for_in_flight(&peer, 0).await;
    assert!(!new.is_cancelled());
    raw.hang_up();
    waiting.await;
    assert!(old.is_cancelled() && new.is_cancelled());
}

#[tokio::test]
async fn an_applications_own_cancel_method_wins() {
    let (told, mut seen) = mpsc::unbounded_channel();
    let gate = Gate::default();
    let take = move |_: Context, params: BTreeMap<String, String>| {
        told.send(params).unwrap();
        async { Ok(()) }
    };
    let server = server(&gate, Config::default()).method("$/cancelRequest", take);
    let mut raw = Raw::client(server).await;
    raw.send(request("gated", "[1]", "\"x\"")).await;
    raw.check(&cancel("\"x\""), &[]).await;
    assert_eq!(seen.recv().await.unwrap()["id"], "x");
    gate.open(1);
    assert_eq!(raw.receive().await, result("1", "\"x\""));
}

/// Cancellations race with responses: each request gets exactly one response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_races_its_cancellation_is_answered_once() {
    const CALLS: usize = 2000;
    let spin = |_: Context, (turns,): (u32,)| async move {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        Ok(turns)
    };
    for seed in 1..=3_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = move |limit: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % limit
        };
        let mut raw = Raw::client(Server::builder().method("spin", spin)).await;
        let mut answers = vec![0_u32; CALLS];
        let mut taken_back = 0;
        for first in (0..CALLS).step_by(100) {
            let calls: Vec<usize> = (first..first + 100).collect();
            let mut asked = Vec::new();
            for id in &calls {
                asked.push(request("spin", &format!("[{}]", random(4)), &id.to_string()));
                for _ in 0..random(3) {
                    asked.push(cancel(&(first as u64 + random(100)).to_string()));
                }
            }
            if random(2) == 0 {
                raw.send(format!("[{}]", asked.join(","))).await;
            } else {
                for message in asked {
                    raw.send(message).await;
                }
            }
            while answers[first..first + 100].contains(&0) {
                let text = raw.receive().await;
                let array = if text.starts_with('[') { text } else { format!("[{text}]") };
                let array: Vec<serde_json::Value> = serde_json::from_str(&array).unwrap();
                for answer in array {
                    answers[answer["id"].as_u64().unwrap() as usize] += 1;
                    taken_back += usize::from(answer["error"]["code"] == -32800);
                }
            }
        }
        raw.check("[]", &[&empty_batch()]).await;
        assert!(answers.iter().all(|count| *count == 1), "seed {seed}: {answers:?}");
        assert!((1..CALLS).contains(&taken_back), "seed {seed}: {taken_back} were cancelled");
    }
}

/// `max_in_flight` calls are dropped while the peer reads nothing: all cancellations are sent.
#[tokio::test(start_paused = true)]
async fn cancellations_are_sent_though_the_send_queue_is_full() {
    let config = Config {
        max_send_queue: 1000,
        ping_interval: None,
        write_timeout: Duration::from_secs(3600),
        ..Config::default()
    };
    let (mut raw, client) = Raw::knowing_server(Client::builder().config(config)).await;
    let peer = client.peer();
    let text = "x".repeat(2000);
    for _ in 0..100 {
        let outcome = peer.call::<()>("m", [&text]).timeout(SECOND).await;
        assert!(matches!(outcome, Err(Error::Timeout(_))), "{outcome:?}");
    }
    let (mut requests, mut taken_back) = (0, 0);
    let last = tokio::spawn({
        let peer = peer.clone();
        async move { peer.call::<()>("last", ()).await }
    });
    loop {
        let text = raw.receive().await;
        if text.contains("\"last\"") {
            raw.send(result("null", &id_of(&text))).await;
            break;
        }
        requests += usize::from(text.contains("\"m\""));
        taken_back += usize::from(text.contains("$/cancelRequest"));
    }
    last.await.unwrap().unwrap();
    assert!(requests > 20, "{requests}");
    assert_eq!(requests, taken_back, "exactly the calls that were sent are cancelled");
}
