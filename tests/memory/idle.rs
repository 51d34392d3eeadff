//! What a connection holds that does nothing.

use tokio::runtime::Builder;
use wsjsonrpc::{Context, Server};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, Tested, check, settled};

const CONNECTIONS: usize = 400;

/// On tokio's multi-threaded runtime, before its first call and after it. What the allocator needs for
/// itself is not counted, nor is what the kernel needs.
#[test]
fn an_idle_connection_is_small() {
    // The first one has a thread for each processor, as `#[tokio::main]` has.
    for threads in [None, Some(1), Some(4)] {
        for used in [false, true] {
            let mut runtime = Builder::new_multi_thread();
            if let Some(threads) = threads {
                runtime.worker_threads(threads);
            }
            let tested = Tested::on(&mut runtime);
            let server = Server::builder()
                .method("sum", |_: Context, (a, b): (i64, i64)| async move { Ok(a + b) });
            let address = tested.serve(server);
            let open = || {
                let mut hostile = Hostile::connect(address);
                if used {
                    hostile.send(&request("sum", "[1,2]", "7"));
                    hostile.read_until("\"id\":7");
                }
                hostile
            };
            // What the program needs once is there before it is measured.
            let warm: Vec<_> = (0..CONNECTIONS / 4).map(|_| open()).collect();
            let before = settled();
            let many: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
            let each = settled().saturating_sub(before) / CONNECTIONS;
            check(
                &format!("idle, threads: {threads:?}, after a call: {used}"),
                each,
                4 * KIB + KIB / 2,
            );
            drop((warm, many));
        }
    }
}
