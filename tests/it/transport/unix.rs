//! Unix sockets: calls in both directions, the URL, and the socket file before and after.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::PathBuf;

use http::StatusCode;
use tempfile::TempDir;
use tokio::net::unix::UCred;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wsjsonrpc::client::{ConnectionState, Reconnect};
use wsjsonrpc::error::{BindError, ConnectError};
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{Client, Config, Context, Server};

/// A directory for the test, and a path in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    (directory, path)
}

/// Doubles numbers, and lets its caller double one.
fn doubling() -> ServerBuilder {
    wsjsonrpc_tests::server().method("ask.back", |ctx: Context, (x,): (i64,)| async move {
        Ok(ctx.peer().call::<i64>("triple", (x,)).await?)
    })
}

/// A server that runs until the sender is dropped.
async fn run(
    server: ServerBuilder,
    path: &PathBuf,
) -> (String, oneshot::Sender<()>, JoinHandle<usize>) {
    let server = server.bind_unix(path).await.unwrap();
    let url = server.url();
    let (stop, stopped) = oneshot::channel();
    (url, stop, tokio::spawn(server.run_until(async { drop(stopped.await) })))
}

fn words(outcome: Result<Server<PathBuf>, BindError>) -> String {
    outcome.expect_err("it can't listen there").to_string()
}

#[tokio::test]
async fn calls_go_both_ways_and_the_socket_file_is_removed() {
    let (_directory, path) = place();
    let (url, stop, running) = run(doubling().path("/rpc"), &path).await;
    assert_eq!(url, format!("ws+unix://{}:/rpc", path.display()));
    let client = Client::builder()
        .method("triple", |_, (x,): (i64,)| async move { Ok(3 * x) })
        .connect(&url)
        .await
        .unwrap();
    assert_eq!(client.peer().call::<i64>("double", (21,)).await.unwrap(), 42);
    assert_eq!(client.peer().call::<i64>("ask.back", (14,)).await.unwrap(), 42);
    assert_eq!(client.handshake().remote_addr, None);
    assert!(client.handshake().extensions.get::<UCred>().is_some());

    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    drop(stop);
    assert_eq!(running.await.unwrap(), 0);
    assert!(!path.exists());

    let server = doubling().bind_unix(&path).await.unwrap();
    assert_eq!(server.socket_path(), path);
    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn the_request_target_is_what_follows_the_colon() {
    let (directory, _) = place();
    let path = directory.path().join("a b:100%?.sock");
    let server = Server::builder().method("target", |ctx: Context, (): ()| async move {
        let host = ctx.handshake().header("host").map(str::to_owned);
        Ok((ctx.handshake().target.clone(), host))
    });
    let (url, _stop, _) = run(server, &path).await;
    assert!(url.ends_with("/a%20b%3A100%25%3F.sock:/"), "{url}");
    let socket = url.strip_suffix(":/").unwrap();
    let single = socket.replacen(":///", ":/", 1);
    for (url, expected) in [
        (format!("{socket}:/rpc?a=b:c"), "/rpc?a=b:c"),
        (format!("{single}:/rpc"), "/rpc"),
        (socket.to_owned(), "/"),
        (format!("{socket}?a"), "/?a"),
    ] {
        let client = Client::connect(&url).await.unwrap();
        let got: (String, String) = client.peer().call("target", ()).await.unwrap();
        assert_eq!(got, (expected.to_owned(), "localhost".to_owned()), "{url}");
    }
}

#[tokio::test]
async fn a_client_reconnects_to_the_next_server_on_the_same_path() {
    let (_directory, path) = place();
    let (url, stop, running) = run(doubling(), &path).await;
    let soon = std::time::Duration::from_millis(1);
    let reconnect = Reconnect { initial: soon, max: soon, ..Reconnect::default() };
    let client = Client::builder().reconnect(reconnect).connect(&url).await.unwrap();
    assert_eq!(client.peer().call::<i64>("double", (1,)).await.unwrap(), 2);
    let mut states = client.states();
    drop(stop);
    running.await.unwrap();
    let (_, _stop, _) = run(doubling(), &path).await;
    while !matches!(states.next().await, Some(ConnectionState::Connected { number: 2.., .. })) {}
    assert_eq!(client.peer().call::<i64>("double", (2,)).await.unwrap(), 4);
}

#[tokio::test]
async fn peer_credentials_reach_the_hook_and_the_handlers() {
    let (_directory, path) = place();
    let seen = |ctx: Context, (): ()| async move {
        let credentials = ctx.handshake().extensions.get::<UCred>().copied();
        Ok(credentials.map(|credentials| (credentials.uid(), credentials.pid())))
    };
    let server = Server::builder().method("whoami", seen).authorize_fn(|handshake| async move {
        match (handshake.extensions.get::<UCred>(), handshake.query()) {
            (Some(_), None) => Ok(Grant::new()),
            _ => Err(Refusal::unauthorized("not you")),
        }
    });
    let (url, _stop, _) = run(server, &path).await;
    let client = Client::connect(&url).await.unwrap();
    let (own, _other) = tokio::net::UnixStream::pair().unwrap();
    let own = own.peer_cred().unwrap();
    let whoami: Option<(u32, Option<i32>)> = client.peer().call("whoami", ()).await.unwrap();
    assert_eq!(whoami, Some((own.uid(), own.pid())));
    let refused = Client::connect(&format!("{url}?x")).await.unwrap_err();
    let unauthorized = StatusCode::UNAUTHORIZED;
    assert!(matches!(refused, ConnectError::Refused { status, .. } if status == unauthorized));
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let (_directory, path) = place();
    let (url, _stop, _) = run(doubling(), &path).await;
    let from = |origin| Client::builder().header("origin", origin).connect(&url);
    let refused = from("https://evil.example").await.unwrap_err();
    let forbidden = StatusCode::FORBIDDEN;
    assert!(matches!(refused, ConnectError::Refused { status, .. } if status == forbidden));
    drop(from("http://localhost").await.unwrap());
}

#[tokio::test]
async fn limits_per_address_do_not_apply() {
    let (_directory, path) = place();
    let config = Config { max_connections_per_address: Some(1), ..Config::default() };
    let (url, _stop, _) = run(doubling().config(config), &path).await;
    let first = Client::connect(&url).await.unwrap();
    let second = Client::connect(&url).await.unwrap();
    assert_eq!(first.peer().call::<i64>("double", (1,)).await.unwrap(), 2);
    assert_eq!(second.peer().call::<i64>("double", (1,)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced() {
    let (_directory, path) = place();
    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists());
    let error = Client::connect(&format!("ws+unix://{}", path.display())).await.unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(
        matches!(error, ConnectError::Io(error) if error.kind() == ErrorKind::ConnectionRefused)
    );

    let (url, _stop, _) = run(doubling(), &path).await;
    let client = Client::connect(&url).await.unwrap();
    assert_eq!(client.peer().call::<i64>("double", (1,)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_socket_in_use_is_left_alone() {
    let (_directory, path) = place();
    let (url, _stop, _) = run(doubling(), &path).await;
    let error = doubling().bind_unix(&path).await.unwrap_err();
    let expected = format!(
        "cannot listen on {}: another process is already listening on the socket",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, BindError::Io { error, .. } if error.kind() == ErrorKind::AddrInUse));
    drop(Client::connect(&url).await.unwrap());
}

#[tokio::test]
async fn a_listener_with_a_full_backlog_is_in_use() {
    let (_directory, path) = place();
    let _listener = StdListener::bind(&path).unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::net::UnixStream::connect(&path).await {
        queued.push(stream);
        if queued.len() > 10_000 {
            return; // a system without a limit
        }
    }
    let error = words(doubling().bind_unix(&path).await);
    assert!(error.ends_with("another process is already listening on the socket"), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_never_removed() {
    let (directory, path) = place();
    let refused = "the path exists and is not a socket; remove the file, or use another path";
    fs::write(&path, "precious").unwrap();
    let error = words(doubling().bind_unix(&path).await);
    assert_eq!(error, format!("cannot listen on {}: {refused}", path.display()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    let error = words(doubling().bind_unix(directory.path()).await);
    assert!(error.ends_with(refused), "{error}");

    // A link to a socket without a listener is not removed.
    let (link, socket) = (directory.path().join("link"), directory.path().join("socket"));
    drop(StdListener::bind(&socket).unwrap());
    symlink(&socket, &link).unwrap();
    let error = words(doubling().bind_unix(&link).await);
    assert!(error.ends_with(refused), "{error}");
    assert!(socket.exists());
}

#[tokio::test]
async fn a_file_that_replaced_the_socket_is_kept() {
    let (_directory, path) = place();
    let (_, stop, running) = run(doubling(), &path).await;
    fs::remove_file(&path).unwrap();
    let _other = StdListener::bind(&path).unwrap();
    drop(stop);
    running.await.unwrap();
    assert!(StdStream::connect(&path).is_ok(), "the other server's file must stay");
}

#[tokio::test]
async fn an_existing_listener_is_served_and_its_file_kept() {
    let (_directory, path) = place();
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = doubling().listen_unix(listener).unwrap();
    assert_eq!(server.socket_path(), path);
    let url = server.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));
    let client = Client::connect(&url).await.unwrap();
    assert_eq!(client.peer().call::<i64>("double", (1,)).await.unwrap(), 2);
    drop(stop);
    running.await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn an_unusable_path_is_an_error_that_names_it() {
    let (directory, _) = place();
    let missing = directory.path().join("no/such/directory/app.sock");
    let error = words(doubling().bind_unix(&missing).await);
    assert!(error.contains("no/such/directory/app.sock"), "{error}");
    let error = Client::connect(&format!("ws+unix://{}", missing.display())).await.unwrap_err();
    assert!(error.to_string().contains("no/such/directory/app.sock"), "{error}");
    let long = directory.path().join("x".repeat(200));
    assert!(words(doubling().bind_unix(&long).await).contains("xxx"));
}

#[tokio::test]
async fn tls_is_not_offered() {
    let (_directory, path) = place();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let server = doubling().tls_pem(key.cert.pem(), key.signing_key.serialize_pem());
    let error = server.bind_unix(&path).await.unwrap_err();
    assert!(matches!(&error, BindError::Setting(_)), "{error:?}");
    assert!(!path.exists());
    let url = format!("wss+unix://{}:/rpc?token=s3cr3t", path.display());
    let error = Client::connect(&url).await.unwrap_err().to_string();
    assert!(error.contains("TLS") && !error.contains("s3cr3t"), "{error}");
}
