//! The examples `axum_app` and `chat_server` in a real browser. A page of `axum_app` logs in, connects with its
//! cookie, calls the server, and answers calls of the server. A page of another origin is refused. Pages of
//! `chat_server` reconnect, and several of them are one user.
//!
//! Without Chromium, these tests print that they are skipped and succeed.

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
#[allow(dead_code, reason = "the test does not run its main function")]
mod axum_app;
#[path = "../chat/server.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod chat_server;
mod devtools;

/// Starts the application on a free port and returns its address.
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
        // The test runner captures the output of `eprintln`, but not this.
        let text = b"skipped: Chromium is not installed (Debian: `apt-get install chromium`)\n";
        std::io::stderr().write_all(text).unwrap();
    }
    browser
}

/// Logs in with the form.
async fn log_in(browser: &mut Browser, address: SocketAddr, name: &str) -> Tab {
    let tab = browser.open(&format!("http://{address}/")).await;
    browser.wait_for(&tab, "!!document.querySelector('form input[name=name]')").await;
    // Click after the script has returned its value: the click ends the page.
    let submit = format!(
        "document.querySelector('input').value = '{name}';
        setTimeout(() => document.querySelector('button').click())"
    );
    browser.run(&tab, &submit).await;
    browser.wait_for(&tab, "document.title === 'The room'").await;
    tab
}

/// The message about a skipped test is visible although the test succeeds.
#[tokio::test]
async fn a_missing_browser_is_reported() {
    let empty = tempfile::tempdir().unwrap();
    let tests = std::env::current_exe().unwrap();
    let outcome = tokio::process::Command::new(tests)
        .args(["--exact", "pages_call_each_other"])
        .env("PATH", empty.path())
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8(outcome.stderr).unwrap();
    assert!(outcome.status.success() && stderr.contains("Chromium is not installed"), "{stderr}");
}

#[tokio::test]
async fn a_page_and_the_server_call_each_other() {
    let Some(mut browser) = browser().await else { return };
    let address = start().await;
    let tab = log_in(&mut browser, address, "Ada").await;

    // The server knows the name from the cookie, and called the page before it answered.
    browser.wait_for(&tab, "members.textContent === 'Here: Ada'").await;
    let texts = "Array.from(document.querySelectorAll('li'), line => line.textContent)";
    assert_eq!(browser.run(&tab, texts).await, json!(["room: Welcome, Ada!"]));

    // Over the socket: all pages in the room show it, including this one.
    assert_eq!(browser.run(&tab, "room.call('room.say', 'hello')").await, json!(1));
    assert_eq!(browser.run(&tab, texts).await, json!(["room: Welcome, Ada!", "Ada: hello"]));
    let unknown = "room.call('room.leave').catch(error => error.message)";
    assert_eq!(browser.run(&tab, unknown).await, json!("Method not found: \"room.leave\""));

    // By HTTP POST on the same route: the text arrives over the page's socket.
    let answer = browser.run(&tab, "post('room.say', 'hello again')").await;
    assert_eq!(answer, json!({ "jsonrpc": "2.0", "result": 1, "id": 1 }));
    let count = browser.run(&tab, "document.querySelectorAll('li').length").await;
    assert_eq!(count, json!(3));
    let answer = browser.run(&tab, "post('room.users')").await;
    assert_eq!(answer["result"], json!(["Ada"]), "{answer}");

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
    // Both windows share the browser's cookie, so Ada is also the user of the second one.
    let second = browser.open(&format!("http://{address}/")).await;
    browser.wait_for(&second, "document.title === 'The room'").await;
    browser.wait_for(&second, "members.textContent === 'Here: Ada'").await;
    assert_eq!(browser.run(&second, "room.call('room.say', 'both?')").await, json!(2));
    browser.wait_for(&ada, "document.body.textContent.includes('Ada: both?')").await;

    // Logging out closes the connections of both pages.
    browser.run(&second, "setTimeout(() => document.getElementById('logout').click())").await;
    browser.wait_for(&second, "document.title === 'Who are you?'").await;
    browser.wait_for(&ada, "members.textContent.startsWith('The connection is closed')").await;
}

/// The attacker's page is on the same host, so the browser sends the victim's cookie: cookies ignore the port.
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
    // Browsers send `text/plain` to other origins without a preflight request. JSON needs one, and the server
    // does not allow it.
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
        // The page cannot read an opaque response. Below, the test checks that the call had no effect.
        assert!([json!("opaque"), json!("refused")].contains(&outcome), "{kind}: {outcome}");
    }
    let texts = browser.run(&victim, "document.getElementById('texts').textContent").await;
    assert_eq!(texts, json!("room: Welcome, Ada!"));

    // The server accepts the same connection from a page of its own origin.
    assert_eq!(browser.run(&victim, &open(address)).await, json!("open"));
    let none: Value = browser.run(&victim, "document.cookie").await;
    assert_eq!(none, json!(""), "scripts must not see the session cookie");
}

/// Opens a page of the chat in a new tab, and enters as this user.
async fn enter_chat(browser: &mut Browser, address: SocketAddr, name: &str) -> Tab {
    let tab = browser.open(&format!("http://{address}/")).await;
    browser.wait_for(&tab, "!!login.onsubmit").await;
    browser
        .run(&tab, &format!("login.elements.name.value = '{name}'; login.requestSubmit()"))
        .await;
    tab
}

#[tokio::test]
async fn pages_chat_and_reconnect() {
    let Some(mut browser) = browser().await else { return };
    let endpoint = chat_server::server().build().unwrap();
    let address = serve(chat_server::app(&endpoint)).await;
    let texts = |texts: &str| {
        let lines =
            "Array.from(document.querySelectorAll('#messages li'), line => line.textContent)";
        format!("JSON.stringify({lines}) === '{texts}'")
    };
    let users = |names: &str| format!("document.getElementById('users').textContent === '{names}'");
    let say = |text: &str| format!("chat.elements.text.value = '{text}'; chat.requestSubmit()");
    let ada = enter_chat(&mut browser, address, "Ada").await;
    browser.wait_for(&ada, "!chat.hidden").await;
    browser.wait_for(&ada, &users("Ada")).await;
    browser.run(&ada, &say("hello")).await;
    browser.wait_for(&ada, &texts(r#"["Ada: hello"]"#)).await;

    // Another tab has the same key, so it is the same user, and it gets the latest messages.
    let second = enter_chat(&mut browser, address, "Ada").await;
    browser.wait_for(&second, &users("Ada")).await;
    browser.wait_for(&second, &texts(r#"["Ada: hello"]"#)).await;

    // A user with another key cannot have the name. The page shows why, and lets the user choose another one.
    browser.run(&ada, "localStorage.setItem('key', 'the key of somebody else')").await;
    let eve = enter_chat(&mut browser, address, "Ada").await;
    browser
        .wait_for(&eve, "document.getElementById('status').textContent === 'this name is taken'")
        .await;
    browser.wait_for(&eve, "!login.hidden && chat.hidden").await;
    browser.run(&eve, "login.elements.name.value = 'Eve'; login.requestSubmit()").await;
    browser.wait_for(&second, &users("Ada, Eve")).await;

    // Another room has other users and messages.
    let change = |room: &str| {
        format!(
            "chat.elements.room.value = '{room}'; chat.elements.room.dispatchEvent(new Event('change'))"
        )
    };
    browser.run(&eve, &change("rust")).await;
    browser.wait_for(&eve, &users("Eve")).await;
    browser.wait_for(&eve, &texts("[]")).await;
    browser.wait_for(&ada, &users("Ada")).await;

    // The server closes all connections. The pages enter the room again, and get the messages again.
    for tab in [&ada, &second] {
        browser.run(tab, "document.getElementById('messages').append('old')").await;
    }
    for connection in endpoint.connections() {
        connection.close(1012, "restart");
    }
    for tab in [&ada, &second] {
        browser.wait_for(tab, "document.getElementById('messages').lastChild.data !== 'old'").await;
        browser.wait_for(tab, "!chat.hidden").await;
        browser.wait_for(tab, &texts(r#"["Ada: hello"]"#)).await;
    }
    browser.run(&second, &say("again")).await;
    browser.wait_for(&ada, &texts(r#"["Ada: hello","Ada: again"]"#)).await;
}
