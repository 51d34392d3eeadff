//! Documents without the feature `schema`. One message for each method of a builder.

use wsjsonrpc::{Client, Context, Result, Server, rpc};

#[rpc(schema)]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {
    let _ = Server::builder().discover("info");
    let _ = Server::builder().calls::<MathClient>();
    let _ = Client::builder().discover("info");
    let endpoint = Server::builder().build().unwrap();
    println!("{}", endpoint.openrpc("info").as_value());
}
