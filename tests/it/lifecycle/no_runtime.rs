//! Futures that are awaited without a tokio runtime, or in one without timers or I/O. What needs
//! them fails with a clear error, everything else works.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wsjsonrpc::client::Reconnect;
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::server::Handshake;
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Client, Config, Error, Methods, Peer, memory};
use wsjsonrpc_tests::{SECOND, listen};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor without tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn full() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn server() -> wsjsonrpc::server::ServerBuilder {
    let ticks = Methods::new().subscription(Topic::new("ticks"), |_, ()| async {
        Ok(futures_util::stream::iter([Ok(1), Ok(2)]))
    });
    wsjsonrpc_tests::server().service(ticks)
}

async fn everything(peer: &Peer) {
    let double = || peer.call::<i64>("double", (21,));
    assert_eq!(double().await.unwrap(), 42);
    assert_eq!(double().timeout(3 * SECOND).await.unwrap(), 42);
    assert_eq!(double().without_timeout().idempotent().await.unwrap(), 42);
    let (first, second, told) =
        peer.batch((double(), double().idempotent(), peer.notify("double", (1,)))).await.unwrap();
    assert_eq!((first.unwrap(), second.unwrap(), told.unwrap()), (42, 42, ()));
    let mut batch = peer.new_batch();
    let added = batch.add(double());
    batch.send().await.unwrap();
    assert_eq!(added.await.unwrap(), 42);
    peer.notify("double", (1,)).await.unwrap();
    let mut ticks = peer.subscribe::<i64>("ticks", ()).await.unwrap();
    assert_eq!(ticks.next().await.unwrap().unwrap(), 1);
    let late = peer.call::<()>("never", ()).timeout(SECOND / 20).await;
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
}

#[test]
fn calls_can_be_awaited_anywhere() {
    let runtime = full();
    let without_timers = Builder::new_current_thread().build().unwrap();
    let connect = async |client: wsjsonrpc::client::ClientBuilder| {
        let (url, _) = listen(server()).await;
        client.connect(&url).await.unwrap()
    };
    for builder in [Client::builder(), Client::builder().reconnect(Reconnect::default())] {
        let client = runtime.block_on(connect(builder));
        block_on(everything(&client.peer()));
        without_timers.block_on(everything(&client.peer()));
        block_on(client.close());
    }
}

/// A reconnecting client without a connection: its calls wait for the next one, or for their
/// timeout.
#[test]
fn calls_of_a_client_that_is_down_can_be_awaited_anywhere() {
    let runtime = full();
    let without_timers = Builder::new_current_thread().build().unwrap();
    let (client, server) = runtime.block_on(async {
        let server = server().bind("127.0.0.1:0").await.unwrap();
        let (url, endpoint) = (server.url(), server.endpoint().clone());
        let running = tokio::spawn(server.run());
        let client = Client::builder()
            .reconnect(Reconnect { initial: Duration::from_millis(1), ..Reconnect::default() });
        let client = client.connect(&url).await.unwrap();
        let mut states = client.states();
        states.next().await;
        running.abort();
        let _ = running.await;
        // Shutting down works anywhere too.
        std::thread::spawn(move || block_on(endpoint.shutdown())).join().unwrap();
        let down = states.next().await;
        assert!(matches!(down, Some(wsjsonrpc::client::ConnectionState::Down { .. })), "{down:?}");
        (client, url)
    });
    let waits = async || {
        let peer = client.peer();
        let call = || peer.call::<i64>("double", (21,)).timeout(SECOND / 20);
        assert!(matches!(call().await, Err(Error::Timeout(_))));
        assert!(matches!(peer.batch([call()]).await, Err(Error::Timeout(_))));
        let asked = peer.subscribe::<i64>("ticks", ()).timeout(SECOND / 20).await;
        assert!(matches!(asked, Err(Error::Timeout(_))));
    };
    block_on(waits());
    without_timers.block_on(waits());
    // When the client's runtime is gone, they fail.
    runtime.shutdown_timeout(10 * SECOND);
    let call = block_on(client.peer().call::<i64>("double", (21,)).into_future());
    assert!(matches!(call, Err(Error::Closed(_))), "{call:?} {server}");
    let batch = block_on(client.peer().batch([client.peer().call::<i64>("m", ())]).into_future());
    assert!(matches!(batch, Err(Error::Closed(_))), "{batch:?}");
}

/// Everything that needs a runtime, with the text of its error.
async fn fails() -> Vec<String> {
    let stubborn = Reconnect { retry_first: true, ..Reconnect::default() };
    let (stream, other) = tokio::io::duplex(64);
    let directory = tempfile::tempdir().unwrap();
    let endpoint = server().build().unwrap();
    let http = HttpPeer::new("http://127.0.0.1:9/").unwrap().peer();
    let (posted,) = match http.batch((http.call::<()>("m", ()),)).await {
        Ok(posted) => posted,
        Err(error) => (Err(error),),
    };
    vec![
        Client::connect("ws://127.0.0.1:9/").await.unwrap_err().to_string(),
        Client::connect("ws://localhost:9/").await.unwrap_err().to_string(),
        Client::builder()
            .reconnect(stubborn)
            .connect("ws://127.0.0.1:9/")
            .await
            .unwrap_err()
            .to_string(),
        Client::builder().connect_over("ws://localhost/", stream).await.unwrap_err().to_string(),
        memory::pair(Client::builder(), server()).unwrap_err().to_string(),
        server().bind("127.0.0.1:0").await.unwrap_err().to_string(),
        server().bind_unix(directory.path().join("s")).await.unwrap_err().to_string(),
        endpoint.serve(tokio::io::duplex(64).0, None).await.unwrap_err().to_string(),
        endpoint.serve_upgraded(other, Handshake::new("/")).await.to_string(),
        http.call::<()>("m", ()).await.unwrap_err().to_string(),
        http.notify("m", ()).await.unwrap_err().to_string(),
        posted.unwrap_err().to_string(),
    ]
}

#[test]
fn what_needs_a_runtime_fails_with_an_explanation() {
    for text in block_on(fails()) {
        assert!(text.contains("no tokio runtime: "), "{text}");
    }
    for text in Builder::new_current_thread().build().unwrap().block_on(fails()) {
        assert!(text.contains("the tokio runtime has no timers"), "{text}");
    }
    assert_eq!(block_on(server().build().unwrap().shutdown()), 0);
}

#[test]
fn what_needs_sockets_fails_with_an_explanation() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let http = HttpPeer::new("http://127.0.0.1:9/").unwrap().peer();
        for text in [
            Client::connect("ws://127.0.0.1:9/").await.unwrap_err().to_string(),
            server().bind("127.0.0.1:0").await.unwrap_err().to_string(),
            server().bind_unix(directory.path().join("s")).await.unwrap_err().to_string(),
            http.call::<()>("m", ()).await.unwrap_err().to_string(),
            http.notify("m", ()).await.unwrap_err().to_string(),
            http.batch([http.call::<()>("m", ())])
                .await
                .unwrap()
                .remove(0)
                .unwrap_err()
                .to_string(),
            http.batch([http.notify("m", ())]).await.unwrap_err().to_string(),
        ] {
            assert!(text.contains("the tokio runtime has no I/O"), "{text}");
        }
        // In memory, no I/O is needed.
        let (client, _) =
            memory::pair(Client::builder().config(Config::default()), server()).unwrap();
        assert_eq!(client.peer().call::<i64>("double", (21,)).await.unwrap(), 42);
    });
}

/// Created in one runtime, run elsewhere.
#[test]
fn a_server_runs_in_the_runtime_it_was_made_in() {
    let runtime = full();
    let server = runtime.block_on(server().bind("127.0.0.1:0")).unwrap();
    let url = server.url();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running =
        std::thread::spawn(move || block_on(server.run_until(async { drop(stopped.await) })));
    let client = runtime.block_on(Client::connect(&url)).unwrap();
    assert_eq!(block_on(client.peer().call::<i64>("double", (21,)).into_future()).unwrap(), 42);
    drop(stop);
    assert_eq!(running.join().unwrap(), 0);
}
