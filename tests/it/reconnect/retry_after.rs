//! `Retry-After` in a refusal: a reconnecting client waits for that long, and never longer than its
//! own maximum. The clock is paused, so times are exact.

use std::time::Duration;

use tokio::time::Instant;
use wsjsonrpc::client::Reconnect;
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::{Client, Server};
use wsjsonrpc_tests::reconnect::{client, connect, connected, is_connected, is_down, settings};
use wsjsonrpc_tests::{MILLISECOND, SECOND, listen};

const FULL: &str = "503 Service Unavailable";
const LIMITED: &str = "429 Too Many Requests";

/// The maximum in `settings` is 2 s.
#[tokio::test(start_paused = true)]
async fn retry_after_delays_a_client_up_to_its_own_maximum() {
    let cases: [(&str, Option<&str>, Duration); 12] = [
        (FULL, Some("1"), SECOND),
        (LIMITED, Some("1"), SECOND),
        (FULL, Some(" 1 "), SECOND),
        (FULL, Some("5"), 2 * SECOND),
        (FULL, Some("99999999999999999999999999"), 2 * SECOND),
        (FULL, Some("0"), Duration::ZERO),
        // Dates are ignored, because they need synchronized clocks.
        (FULL, Some("Sun, 06 Nov 2094 08:49:37 GMT"), Duration::ZERO),
        (FULL, Some("-1"), Duration::ZERO),
        (FULL, Some("1.5"), Duration::ZERO),
        (FULL, Some("+1"), Duration::ZERO),
        (FULL, Some(""), Duration::ZERO),
        (FULL, None, Duration::ZERO),
    ];
    for (status, retry_after, told) in cases {
        let (client, raw, mut attempts) = connected(client()).await;
        let mut states = client.states();
        is_connected(states.next().await);
        raw.hang_up();
        is_down(states.next().await);
        let headers = retry_after.map(|value| format!("\r\nRetry-After: {value}"));
        attempts.next().await.answer(&format!("{status}{}", headers.unwrap_or_default())).await;
        let refused = Instant::now();
        let (_, number, retry_in) = is_down(states.next().await);
        // The client's own delay is added, so that clients that were refused together do not return
        // together.
        let own = 200 * MILLISECOND;
        assert_eq!((number, retry_in), (2, (told + own).min(2 * SECOND)), "{retry_after:?}");
        // The value applies once.
        let attempt = attempts.next().await;
        assert_eq!(attempt.at - refused, retry_in, "{retry_after:?}");
        attempt.refuse();
        assert_eq!(is_down(states.next().await).2, 400 * MILLISECOND, "{retry_after:?}");
        let _raw = attempts.accept().await;
        is_connected(states.next().await);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_retries_of_the_first_connection() {
    let settings = Reconnect { retry_first: true, ..settings() };
    let (connecting, mut attempts) = connect(Client::builder().reconnect(settings));
    let connecting = tokio::spawn(connecting);
    attempts.next().await.answer(&format!("{FULL}\r\nRetry-After: 1")).await;
    let refused = Instant::now();
    let attempt = attempts.next().await;
    assert_eq!(attempt.at - refused, SECOND + 100 * MILLISECOND);
    let _raw = attempt.accept().await;
    drop(connecting.await.unwrap().unwrap());
}

/// The error of a client that does not reconnect has the value too, here from this crate's server.
#[tokio::test]
async fn a_refusal_carries_its_retry_after() {
    let config = wsjsonrpc::Config { max_connections: 0, ..Default::default() };
    let (url, _) = listen(Server::builder().config(config)).await;
    let error = Client::connect(&url).await.unwrap_err();
    let ConnectError::Refused { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(5 * SECOND));
}
