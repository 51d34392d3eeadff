//! Our client for the servers of other implementations: `interop-client URL SCENARIO…`.
//!
//! Runs the scenarios one after another on one connection, and prints a JSON line for each:
//! `{"check": …, "ok": …, "got": …, "expected": …}`. Exits with 1 if a scenario failed.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use interop_peer::contract::{BankError, ClientSide};
use interop_peer::outcome::pass_on;
use interop_peer::usual::Notes;
use interop_peer::{odd, usual};
use serde_json::json;
use tokio::sync::mpsc::{self, UnboundedSender};
use wsjsonrpc::{Client, Context, Result};

struct Serving {
    notes: UnboundedSender<String>,
}

impl ClientSide for Serving {
    async fn add(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }

    async fn double(&self, _ctx: &Context, x: i64) -> Result<i64> {
        Ok(2 * x)
    }

    async fn fail(&self, _ctx: &Context) -> Result<(), BankError> {
        Err(BankError::Insufficient { missing: 7 })
    }

    async fn fail_plain(&self, _ctx: &Context) -> Result<(), BankError> {
        Err(BankError::NoSuchAccount)
    }

    async fn log(&self, _ctx: &Context, text: String) {
        // Sending fails only when the program ends.
        let _ = self.notes.send(text);
    }

    async fn ask_back(&self, ctx: &Context, depth: u32) -> Result<String> {
        if depth == 0 {
            return Ok("bottom".to_owned());
        }
        let params = ("client.ask_back", [depth - 1]);
        ctx.peer().call("call_me", params).await.map_err(pass_on)
    }
}

async fn play_all(client: &Client, scenarios: &[String], notes: &mut Notes) -> bool {
    let peer = client.peer();
    let mut all_ok = true;
    for name in scenarios {
        let outcome = match odd::play(name, &peer, notes).await {
            Some(outcome) => Some(outcome),
            None => usual::play(name, &peer, notes).await,
        };
        let line = match outcome {
            Some(outcome) => {
                let ok = outcome.got == outcome.expected;
                json!({"check": name, "ok": ok, "got": outcome.got, "expected": outcome.expected})
            }
            None => {
                json!({"check": name, "ok": false, "got": "no such scenario", "expected": null})
            }
        };
        all_ok &= line["ok"] == true;
        println!("{line}");
    }
    all_ok
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((url, scenarios)) = args.split_first() else {
        eprintln!("usage: interop-client URL SCENARIO…");
        return ExitCode::from(2);
    };
    let (sender, mut notes) = mpsc::unbounded_channel();
    let service = Serving { notes: sender }.into_service();
    let client = match Client::builder().service(service).connect(url).await {
        Ok(client) => client,
        Err(error) => {
            eprintln!("interop-client: {url}: {error}");
            return ExitCode::from(2);
        }
    };
    let all_ok = play_all(&client, scenarios, &mut notes).await;
    client.close().await;
    if all_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
