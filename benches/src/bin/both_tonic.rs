//! tonic's typed client and server in one process, over loopback TCP.

use anyhow::Result;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use wsjsonrpc_benches::client::{Caller, run};

use self::math_client::MathClient;
use self::math_server::{Math, MathServer};

#[derive(Clone, PartialEq, prost::Message)]
pub struct Pair {
    #[prost(int64, tag = "1")]
    pub x: i64,
    #[prost(int64, tag = "2")]
    pub y: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Sum {
    #[prost(int64, tag = "1")]
    pub value: i64,
}

// Written by build.rs.
include!(concat!(env!("OUT_DIR"), "/bench.Math.rs"));

struct Service;

#[tonic::async_trait]
impl Math for Service {
    async fn sum(&self, request: Request<Pair>) -> Result<Response<Sum>, Status> {
        let Pair { x, y } = request.into_inner();
        Ok(Response::new(Sum { value: x + y }))
    }
}

#[derive(Clone)]
struct Tonic(MathClient<Channel>);

impl Caller for Tonic {
    async fn connect(_: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(MathServer::new(Service));
        tokio::spawn(server.serve_with_incoming(incoming));
        Ok(Tonic(MathClient::connect(url).await?))
    }

    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(self.0.clone().sum(Pair { x, y }).await?.into_inner().value)
    }
}

fn main() -> Result<()> {
    run::<Tonic>()
}
