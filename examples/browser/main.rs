//! The example `axum_app` in a real browser: it logs in, opens a socket with its cookie, calls, is
//! called back; and a page of another origin is let into nothing.
//!
//! Where there is no Chromium, these tests say so and succeed.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use devtools::{Browser, Tab};

#[path = "../axum_app.rs"]
#[allow(dead_code, reason = "its main function is not run here")]
mod axum_app;
mod devtools;

/// Starts the application on a port of its own. Gives where it is.
async fn start() -> SocketAddr {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap());
    let app = axum_app::app(&axum_app::endpoint().unwrap(), recorder.clone());
    serve(app).await
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum_app::serve(listener, app, std::future::pending()));
    address
}

async fn browser() -> Option<Browser> {
    let browser = Browser::start().await;
    if browser.is_none() {
        // Past `println`, which a test that succeeds keeps to itself.
        let told = b"left out: there is no Chromium here (Debian: `apt-get install chromium`)\n";
        std::io::stderr().write_all(told).unwrap();
    }
    browser
}

/// Logs in by the form, as a person does.
async fn log_in(browser: &mut Browser, address: SocketAddr, name: &str) -> Tab {
    let tab = browser.open(&format!("http://{address}/")).await;
    browser.wait_for(&tab, "!!document.querySelector('form input[name=name]')").await;
    // The click comes after the script's answer: the page that it ends can't give one.
    let submit = format!(
        "document.querySelector('input').value = '{name}';
        setTimeout(() => document.querySelector('button').click())"
    );
    browser.run(&tab, &submit).await;
    browser.wait_for(&tab, "document.title === 'The room'").await;
    tab
}

/// Whoever runs the tests is told, though a test that succeeds is silent as a rule.
#[tokio::test]
async fn who_has_no_browser_is_told() {
    let empty = tempfile::tempdir().unwrap();
    let tests = std::env::current_exe().unwrap();
    let outcome = tokio::process::Command::new(tests)
        .args(["--exact", "pages_call_each_other"])
        .env("PATH", empty.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(outcome.stderr).unwrap();
    assert!(outcome.status.success() && told.contains("there is no Chromium here"), "{told}");
}

#[tokio::test]
async fn a_page_calls_and_is_called_back() {
    let Some(mut browser) = browser().await else { return };
    let address = start().await;
    let tab = log_in(&mut browser, address, "Ada").await;

    // The socket was opened with the cookie, or nobody would be known; and the server has called the
    // page before it has answered.
    browser.wait_for(&tab, "members.textContent === 'Here: Ada'").await;
    let texts = "Array.from(document.querySelectorAll('li'), line => line.textContent)";
    assert_eq!(browser.run(&tab, texts).await, json!(["room: Welcome, Ada!"]));

    // Over the socket: every page in the room shows it, this one among them.
    assert_eq!(browser.run(&tab, "room.call('room.say', 'hello')").await, json!(1));
    assert_eq!(browser.run(&tab, texts).await, json!(["room: Welcome, Ada!", "Ada: hello"]));
    let unknown = "room.call('room.leave').catch(error => error.message)";
    assert_eq!(browser.run(&tab, unknown).await, json!("Method not found: \"room.leave\""));

    // By HTTP POST on the same route: it reaches the page's socket.
    let answer = browser.run(&tab, "post('room.say', 'hello again')").await;
    assert_eq!(answer, json!({ "jsonrpc": "2.0", "result": 1, "id": 1 }));
    let count = browser.run(&tab, "document.querySelectorAll('li').length").await;
    assert_eq!(count, json!(3));
    // What calls its caller back can't be done without a socket.
    let answer = browser.run(&tab, "post('room.join')").await;
    assert_eq!(answer["error"]["code"], json!(-32006), "{answer}");

    let metrics = browser.run(&tab, "fetch('/metrics').then(response => response.text())").await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains(r#"method="room.say""#), "{metrics}");
}

#[tokio::test]
async fn pages_call_each_other() {
    let Some(mut browser) = browser().await else { return };
    let address = start().await;
    let ada = log_in(&mut browser, address, "Ada").await;
    browser.wait_for(&ada, "members.textContent === 'Here: Ada'").await;
    // The session's cookie is the browser's, so the second window is Ada's, too.
    let second = browser.open(&format!("http://{address}/")).await;
    browser.wait_for(&second, "document.title === 'The room'").await;
    browser.wait_for(&second, "members.textContent === 'Here: Ada, Ada'").await;
    assert_eq!(browser.run(&second, "room.call('room.say', 'both?')").await, json!(2));
    browser.wait_for(&ada, "document.body.textContent.includes('Ada: both?')").await;
}

/// The attacker's page is on the same machine, so that the browser sends the victim's cookie along:
/// a port is no part of what a cookie belongs to.
#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let Some(mut browser) = browser().await else { return };
    let address = start().await;
    let victim = log_in(&mut browser, address, "Ada").await;
    browser.wait_for(&victim, "members.textContent === 'Here: Ada'").await;

    let page = get(|| async { Html("<title>Free kittens</title>") });
    let evil = serve(Router::new().route("/", page)).await;
    let tab = browser.open(&format!("http://{evil}/")).await;
    browser.wait_for(&tab, "document.title === 'Free kittens'").await;

    let open = |address: SocketAddr| {
        format!(
            "new Promise(resolve => {{
                const socket = new WebSocket('ws://{address}/rpc');
                socket.onopen = () => resolve('open');
                socket.onerror = () => resolve('refused');
            }})"
        )
    };
    assert_eq!(browser.run(&tab, &open(address)).await, json!("refused"));
    // A form's content type needs nobody's leave to be sent across origins; JSON's does, and the
    // server gives none.
    for kind in ["text/plain", "application/json"] {
        let post = format!(
            "fetch('http://{address}/rpc', {{
                method: 'POST', credentials: 'include', mode: '{}',
                headers: {{ 'content-type': '{kind}' }},
                body: JSON.stringify({{ jsonrpc: '2.0', method: 'room.say', params: ['gotcha'], id: 1 }}),
            }}).then(response => response.type, error => 'refused')",
            if kind == "text/plain" { "no-cors" } else { "cors" },
        );
        let outcome = browser.run(&tab, &post).await;
        // An opaque response says nothing; whether it has done anything is seen below.
        assert!([json!("opaque"), json!("refused")].contains(&outcome), "{kind}: {outcome}");
    }
    let texts = browser.run(&victim, "document.getElementById('texts').textContent").await;
    assert_eq!(texts, json!("room: Welcome, Ada!"));

    // The same socket from a page of the application's own is let in.
    assert_eq!(browser.run(&victim, &open(address)).await, json!("open"));
    let none: Value = browser.run(&victim, "document.cookie").await;
    assert_eq!(none, json!(""), "the cookie is none of the page's business");
}
