//! A real network that is cut: two Linux network namespaces and a virtual cable between them.
//! Without root or without `ip`, the test prints that and passes.
#![cfg(target_os = "linux")]

use std::future::IntoFuture;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Error, Server};
use wsjsonrpc_tests::{child, first_peer, test_name};

/// Set in the process at the other end: the address on which it listens.
const CHILD: &str = "WSJSONRPC_TEST_BEHIND_A_CABLE";

fn config() -> Config {
    let ping_interval = Some(Duration::from_millis(500));
    Config { ping_interval, call_timeout: None, ..Config::default() }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A network namespace, and a virtual cable into it. Dropping it removes both.
struct Cable {
    name: String,
    there: String,
}

impl Cable {
    fn new() -> Result<Self, String> {
        let id = std::process::id();
        let cable = Cable { name: format!("wsj{id}"), there: format!("10.251.{}.2", id % 250) };
        let (name, there) = (&cable.name, &cable.there);
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {name}a type veth peer name {name}b netns {name}"))?;
        ip(&format!("addr add 10.251.{}.1/24 dev {name}a", id % 250))?;
        ip(&format!("link set {name}a up"))?;
        ip(&format!("-n {name} addr add {there}/24 dev {name}b"))?;
        ip(&format!("-n {name} link set {name}b up"))?;
        Ok(cable)
    }

    fn cut(&self) {
        ip(&format!("-n {0} link set {0}b down", self.name)).unwrap();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = ip(&format!("link del {}a", self.name));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

/// The server's end: prints how its connection ended.
async fn serve(address: &str) {
    let server = Server::builder().config(config()).method("hello", |_, ()| async { Ok(()) });
    let server = server.bind(address).await.unwrap();
    println!("\naddress {}", server.local_addr());
    let endpoint = server.endpoint().clone();
    tokio::spawn(server.run());
    println!("ended {:?}", first_peer(&endpoint).await.closed().await);
}

#[test]
fn both_sides_notice_a_cut_network() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Ok(address) = std::env::var(CHILD) {
        return runtime.block_on(serve(&address));
    }
    let cable = match Cable::new() {
        Ok(cable) => cable,
        Err(why) => return println!("skipped: no network namespace can be made here: {why}"),
    };
    let wrapper = ["ip", "netns", "exec", &cable.name];
    let mut child = child::command(&wrapper, test_name!(both_sides_notice_a_cut_network))
        .env(CHILD, format!("{}:0", cable.there))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("address ").map(str::to_owned)).unwrap();
    runtime.block_on(async {
        let client = Client::builder().config(config());
        let client = client.connect(&format!("ws://{address}/")).await.unwrap();
        let peer = client.peer();
        peer.call::<()>("hello", ()).await.unwrap();
        cable.cut();
        let outcome = peer.call::<()>("hello", ()).into_future().await;
        assert!(matches!(outcome, Err(Error::Closed(CloseReason::Unresponsive))), "{outcome:?}");
    });
    let ended = lines.find_map(|line| line.strip_prefix("ended ").map(str::to_owned));
    assert_eq!(ended.as_deref(), Some("Unresponsive"));
    assert!(child.wait().unwrap().success());
}
