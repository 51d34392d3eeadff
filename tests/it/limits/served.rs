//! A server in a separate process, so that its memory can be measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use wsjsonrpc::Config;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc_tests::http::open_blocking;
use wsjsonrpc_tests::mounted::in_axum_with_uris;
use wsjsonrpc_tests::{SECOND, child, frame, request, result, server};

/// Set in the process that serves.
const CHILD: &str = "WSJSONRPC_TEST_SERVES_A_HOSTILE_PEER";
pub(super) const MAX_SEND_QUEUE: usize = 512 * 1024;
pub(super) const MAX_IN_FLIGHT: usize = 32;
pub(super) const MAX_MESSAGE: usize = 16 * 1024;

fn limited() -> ServerBuilder {
    server().config(Config {
        max_send_queue: MAX_SEND_QUEUE,
        max_in_flight: MAX_IN_FLIGHT,
        max_in_flight_bytes: MAX_IN_FLIGHT * MAX_MESSAGE,
        max_incoming_message: MAX_MESSAGE,
        max_outgoing_message: MAX_MESSAGE,
        write_timeout: SECOND,
        shutdown_timeout: SECOND / 10,
        close_timeout: SECOND / 10,
        ..Config::default()
    })
}

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Alone,
    Axum,
}

pub(super) struct Served {
    child: Child,
    /// Must stay open: without a reader, the process could not write its last output.
    _stdout: BufReader<ChildStdout>,
    pub(super) address: String,
}

impl Served {
    /// Runs this test again in a process that serves. Returns `None` in that process, when it is no
    /// longer needed.
    pub(super) fn in_a_child(test: &str, place: Place) -> Option<Self> {
        if let Some(place) = std::env::var_os(CHILD) {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // Serve until the other process closes the pipe.
                let over = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
                if place == "Axum" {
                    let endpoint = limited().build().unwrap();
                    println!("\naddress {}", in_axum_with_uris(&endpoint).await);
                    drop(over.await);
                } else {
                    let server = limited().bind("127.0.0.1:0").await.unwrap();
                    println!("\naddress {}", server.local_addr());
                    server.run_until(async { drop(over.await) }).await;
                }
            });
            return None;
        }
        let mut child = child::command(&[], test)
            .env(CHILD, format!("{place:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.by_ref().lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("address ").map(str::to_owned));
        let address = address.expect("the server prints its port");
        Some(Served { child, _stdout: stdout, address })
    }

    /// The memory of the process in bytes, now (`VmRSS`) or at its peak (`VmHWM`).
    #[cfg(target_os = "linux")]
    pub(super) fn memory(&self, what: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        kilobytes.parse::<usize>().unwrap() * 1024
    }

    /// A WebSocket on a blocking socket.
    pub(super) fn connect(&self) -> TcpStream {
        open_blocking(self.address.parse().unwrap(), "/rpc")
    }

    pub(super) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// Makes one call and reads its response.
pub(super) fn ask(stream: &mut TcpStream) {
    stream.write_all(&frame(0x81, request("sum", "[1,2]", "7").as_bytes())).unwrap();
    let expected = result("3", "7");
    let mut answer = vec![0; 2 + expected.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer[2..]), expected);
}
