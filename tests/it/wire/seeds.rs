//! Runs the seeds of the two fuzz targets that feed a whole connection, so that every test run
//! tries what fuzzing has found. The runtime's own tests run the seeds of the decoder.

use std::fs;
use std::path::Path;

#[allow(unreachable_pub, dead_code, reason = "the fuzzer uses these files as a library")]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzzed;

fn each_seed(target: &str, run: fn(&[u8])) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds")).join(target);
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Printed if this seed fails.
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
        seen += 1;
    }
    assert!(seen > 5, "only {seen} seeds were found");
}

#[test]
fn no_seed_stops_a_server_from_serving_the_next_client() {
    each_seed("server", fuzzed::server::run);
}

#[test]
fn no_seed_leaves_a_clients_calls_pending() {
    each_seed("client", fuzzed::client::run);
}
