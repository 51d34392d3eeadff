//! Makes the load by hand, for profilers: `load ADDRESS WORKLOAD SIZE TURNS` calls a server. `load
//! respond` prints its address and answers a typed client until it is killed.

use anyhow::{Context, Result, bail};
use wsjsonrpc_benches::audience::{Audience, Way};
use wsjsonrpc_benches::load::{Load, Shape};
use wsjsonrpc_benches::responder;

const USAGE: &str = "usage: load respond | load ADDRESS WORKLOAD SIZE TURNS
workloads: sum, wait, batch, notes, reverse (SIZE in flight); items (SIZE items); echo (SIZE bytes, one at a time)
broadcast_* servers: notify, group, channel, subscription, floor (SIZE connections)";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["respond"] => {
            println!("{}", responder::start()?);
            loop {
                std::thread::park();
            }
        }
        [address, workload, size, turns] => {
            let size = size.parse().context(USAGE)?;
            let turns: usize = turns.parse().context(USAGE)?;
            let address = address.parse().context(USAGE)?;
            let way = match workload {
                "notify" => Some(Way::NOTIFY),
                "group" => Some(Way::GROUP),
                "channel" => Some(Way::CHANNEL),
                "subscription" => Some(Way::ITEMS),
                "floor" => Some(Way::JOIN),
                _ => None,
            };
            if let Some(way) = way {
                let mut audience = Audience::new(address, way)?;
                audience.join(address, size)?;
                return (0..turns).try_for_each(|_| audience.turn().map(drop));
            }
            let shape = match workload {
                "sum" => Shape::Sum(size),
                "wait" => Shape::Wait(size),
                "batch" => Shape::Batch(size),
                "notes" => Shape::Notes(size),
                "reverse" => Shape::Reverse(size),
                "items" => Shape::Items(size),
                "echo" => Shape::Echo { calls: 1, bytes: size },
                _ => bail!(USAGE),
            };
            let mut load = Load::connect(address, shape, 1, false)?;
            for _ in 0..turns {
                load.turn()?;
            }
            Ok(())
        }
        _ => bail!(USAGE),
    }
}
