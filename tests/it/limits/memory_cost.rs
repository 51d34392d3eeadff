//! The cost of connections that do nothing, or that stop halfway: memory of a server in a separate
//! process, measured by the operating system.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::TcpStream;

use wsjsonrpc_tests::frames::announcing;
use wsjsonrpc_tests::http::upgrade;
use wsjsonrpc_tests::{frame, request, test_name};

use super::served::{MAX_MESSAGE, Place, Served, ask};

const CONNECTIONS: usize = 300;
const KIB: usize = 1024;

/// Connects, and sends these bytes.
fn half_open(served: &Served, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn open(served: &Served, bytes: &[u8]) -> TcpStream {
    let mut stream = served.connect();
    stream.write_all(bytes).unwrap();
    stream
}

fn after_a_call(served: &Served, _: &[u8]) -> TcpStream {
    let mut stream = served.connect();
    ask(&mut stream);
    stream
}

type Way = fn(&Served, &[u8]) -> TcpStream;

/// Each case has a separate process, so that it cannot reuse memory that another case has released.
/// The bounds are the bytes that such a connection has sent, once or twice, and a little more.
#[test]
fn idle_and_half_open_connections_cost_what_they_have_sent() {
    let this = test_name!(idle_and_half_open_connections_cost_what_they_have_sent);
    let head = upgrade("/", &format!("X: {}\r\n", "x".repeat(8 * KIB)));
    let whole =
        frame(0x81, request("never", &format!("[\"{}\"]", "p".repeat(8000)), "1").as_bytes());
    let part = frame(0x01, &[b' '; 8 * KIB]);
    let table: [(&str, Way, Vec<u8>, usize); 8] = [
        ("idle", open, vec![], 8),
        ("idle after a call", after_a_call, vec![], 8),
        ("silent before the handshake", half_open, vec![], 8),
        ("half a head", half_open, head.into_bytes()[..8 * KIB].to_vec(), 8 + 16),
        ("a large frame's header", open, announcing(0x81, MAX_MESSAGE as u64, true), 16),
        ("half a frame", open, whole[..4 * KIB].to_vec(), 16 + 8),
        ("a part of a message", open, part, 16 + 2 * 8),
        ("a call that never ends", open, whole, 8 + 2 * 8),
    ];
    for (what, way, bytes, bound) in table {
        let Some(served) = Served::in_a_child(this, Place::Alone) else { return };
        let mut bystander = served.connect();
        // Loads what the program needs once before memory is measured.
        let warm: Vec<_> = (0..4).map(|_| way(&served, &bytes)).collect();
        ask(&mut bystander);
        let before = served.memory("VmRSS");
        let many: Vec<_> = (0..CONNECTIONS).map(|_| way(&served, &bytes)).collect();
        // When later clients get responses, the server has read everything that was sent before.
        // Repeated as often as a connection may need several turns.
        for _ in 0..10 {
            ask(&mut served.connect());
        }
        let each = served.memory("VmRSS").saturating_sub(before) / CONNECTIONS;
        println!("{what}: {each} bytes each");
        assert!(each <= bound * KIB, "{what}: {each} bytes each, more than {bound} KiB");
        ask(&mut bystander);
        drop((warm, many));
        served.end();
    }
}

/// A connection that came through an HTTP server keeps nothing of it, not even the buffer that its
/// request was read into. Neither the handshake nor the values of a router keep it alive, if those
/// are forgotten.
#[test]
fn a_mounted_connection_costs_no_more_than_a_stand_alone_one() {
    let this = test_name!(a_mounted_connection_costs_no_more_than_a_stand_alone_one);
    let mut costs = Vec::new();
    for place in [Place::Alone, Place::Axum] {
        let Some(served) = Served::in_a_child(this, place) else { return };
        let warm: Vec<_> = (0..40).map(|_| after_a_call(&served, &[])).collect();
        let before = served.memory("VmRSS");
        let many: Vec<_> = (0..2 * CONNECTIONS).map(|_| after_a_call(&served, &[])).collect();
        let each = served.memory("VmRSS").saturating_sub(before) / many.len();
        println!("{place:?}: {each} bytes each");
        costs.push(each);
        drop((warm, many));
        served.end();
    }
    assert!(costs[1] <= costs[0] + KIB, "{costs:?}");
}
