//! The memory of an idle connection.

use tokio::runtime::Builder;
use wsjsonrpc::{Context, Server};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, Tested, check, settled};

const CONNECTIONS: usize = 400;

/// On tokio's multi-threaded runtime, before and after its first call. The overhead of the
/// allocator and the kernel's buffers are not counted.
#[test]
fn an_idle_connection_is_small() {
    // `None` uses a thread for each processor, like `#[tokio::main]`.
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
            // Allocates what the program needs once before memory is measured.
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
