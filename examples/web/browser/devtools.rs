//! A headless browser, controlled over the Chrome DevTools Protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>). This module is independent of the tests.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The names of the program, in the order in which they are tried.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// How long to wait for the browser before the test fails. Busy machines are slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running browser. Dropping it ends the process.
pub(crate) struct Browser {
    _process: Child,
    _profile: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    calls: u64,
}

/// A tab of the browser.
#[derive(Clone)]
pub(crate) struct Tab {
    session: String,
}

impl Browser {
    /// Starts the installed browser, or returns `None` if there is none.
    pub(crate) async fn start() -> Option<Browser> {
        let profile = TempDir::new().expect("a folder for the browser's profile");
        let mut process = NAMES.iter().find_map(|name| {
            Command::new(name)
                .args(["--headless", "--remote-debugging-port=0", "--no-first-run"])
                // No connections to the vendor.
                .args(["--disable-background-networking", "--disable-component-update"])
                .args(["--disable-sync", "--disable-quic"])
                // Containers have no sandbox and little shared memory. The pages are trusted.
                .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"])
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .ok()
        })?;
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let url = within(async {
            while let Some(line) = lines.next_line().await.expect("the browser's messages") {
                if let Some(url) = line.strip_prefix("DevTools listening on ") {
                    return url.to_owned();
                }
            }
            panic!("the browser ended before it was ready");
        })
        .await;
        // Keep reading, because a full pipe would block the browser.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = connect_async(url).await.expect("the browser's WebSocket");
        Some(Browser { _process: process, _profile: profile, socket, calls: 0 })
    }

    /// Opens a page in a new tab.
    pub(crate) async fn open(&mut self, url: &str) -> Tab {
        let created = self.command(None, "Target.createTarget", json!({ "url": url })).await;
        let created = created.expect("a tab");
        let attach = json!({ "targetId": created["targetId"], "flatten": true });
        let attached = self.command(None, "Target.attachToTarget", attach).await;
        let attached = attached.expect("a session");
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        Tab { session }
    }

    /// Runs a script in the page and returns its value. Waits for promises.
    pub(crate) async fn run(&mut self, tab: &Tab, script: &str) -> Value {
        self.evaluate(tab, script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Runs a script repeatedly until its value is true. Until then the script may fail: an element may not exist
    /// yet, and a page that is being replaced returns an error.
    pub(crate) async fn wait_for(&mut self, tab: &Tab, script: &str) {
        let start = tokio::time::Instant::now();
        loop {
            let outcome = self.evaluate(tab, script).await;
            if outcome == Ok(Value::Bool(true)) {
                return;
            }
            if start.elapsed() > PATIENCE {
                let page = self.evaluate(tab, "document.documentElement.outerHTML").await;
                panic!("timed out waiting for {script} ({outcome:?}) in {page:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn evaluate(&mut self, tab: &Tab, script: &str) -> Result<Value, String> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut outcome = self.command(Some(tab), "Runtime.evaluate", params).await?;
        match outcome.get("exceptionDetails") {
            Some(exception) => Err(exception.to_string()),
            None => Ok(outcome["result"]["value"].take()),
        }
    }

    /// Sends a command and returns its result.
    async fn command(
        &mut self,
        tab: Option<&Tab>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(tab) = tab {
            command["sessionId"] = tab.session.clone().into();
        }
        self.socket.send(Message::text(command.to_string())).await.expect("the browser reads");
        within(async {
            loop {
                let message = self.socket.next().await.expect("the browser is connected");
                let text = message.expect("a message").into_text().expect("text");
                let mut answer: Value = serde_json::from_str(&text).expect("JSON");
                // All other messages are events.
                if answer["id"] == id {
                    return match answer.get("error") {
                        Some(error) => Err(format!("{method}: {error}")),
                        None => Ok(answer["result"].take()),
                    };
                }
            }
        })
        .await
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("the browser does not answer")
}
