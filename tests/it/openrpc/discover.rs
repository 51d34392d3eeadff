//! The method `rpc.discover`.

use serde_json::{Value, json};
use wsjsonrpc::openrpc::{Document, Info, Method};
use wsjsonrpc::schemars::JsonSchema;
use wsjsonrpc::service::Discover;
use wsjsonrpc::{Client, Context, Server, Services, memory, schemars};
use wsjsonrpc_tests::{post, raw::Raw};

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Public {
    x: u8,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Secret {
    key: String,
}

fn services() -> Services {
    Services::new()
        .method("open", |_: Context, (): ()| async { Ok(()) })
        .describe(Method::new("open").result::<Public>())
        .method("admin.key", |_: Context, (): ()| async { Ok(()) })
        .describe(Method::new("admin.key").result::<Secret>().ordered())
}

fn names(document: &Value) -> Vec<&str> {
    let methods = document["methods"].as_array().unwrap();
    methods.iter().map(|method| method["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn it_is_off_unless_it_is_enabled() {
    let mut raw = Raw::client(Server::builder().services(services())).await;
    let answer = raw.ask(r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).await;
    assert!(answer.contains("-32601"), "{answer}");
}

#[tokio::test]
async fn both_sides_serve_their_document() {
    let server = Server::builder().services(services()).discover(Info::new("Server", "1"));
    let client = Client::builder().services(services()).discover(Info::new("Client", "2"));
    let (client, peer) = memory::pair(client, server).unwrap();
    for _ in 0..2 {
        let document: Value = client.peer().call("rpc.discover", ()).await.unwrap();
        assert_eq!(document["info"]["title"], "Server");
        assert_eq!(names(&document), ["open", "admin.key"]);
        assert_eq!(document["methods"][0]["x-implemented-by"], Value::Null);
    }
    let document: Document = peer.call("rpc.discover", ()).await.unwrap();
    let document = document.as_value();
    assert_eq!(document["info"]["title"], "Client");
    assert_eq!(document["methods"][0]["x-implemented-by"], json!(["client"]));
}

#[tokio::test]
async fn a_filter_leaves_out_methods_and_their_schemas() {
    #[derive(Debug)]
    struct Admin;
    struct Called;
    impl wsjsonrpc::openrpc::Describe for Called {
        fn methods() -> Vec<Method> {
            vec![Method::new("admin.notify").param::<Public>("p")]
        }
    }
    let discover = Discover::new(Info::new("Server", "1"))
        .filter(|ctx, method| !method.starts_with("admin.") || ctx.get::<Admin>().is_some());
    let server = Server::builder()
        .services(services())
        .calls::<Called>()
        .method("login", |ctx: Context, (): ()| async move {
            ctx.set(Admin);
            Ok(())
        })
        .discover(discover);
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let document: Value = client.peer().call("rpc.discover", ()).await.unwrap();
    // The filter is about the methods that the caller may use, not about those that it implements.
    assert_eq!(names(&document), ["open", "admin.notify"]);
    let schemas = |document: &Value| {
        document["components"]["schemas"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(schemas(&document), ["Public"]);
    let extensions = |document: &Value| {
        let list = document["x-extensions"].as_array().unwrap();
        list.iter().map(|extension| extension["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(extensions(&document), ["x-implemented-by"]);

    client.peer().call::<()>("login", ()).await.unwrap();
    let document: Value = client.peer().call("rpc.discover", ()).await.unwrap();
    assert_eq!(names(&document), ["open", "admin.key", "admin.notify"]);
    assert_eq!(schemas(&document), ["Public", "Secret"]);
    assert_eq!(extensions(&document), ["x-implemented-by", "x-ordered"]);
}

#[tokio::test]
async fn it_takes_no_params_and_starts_no_subscription() {
    let server = Server::builder().services(services()).discover(Info::new("Server", "1"));
    let mut raw = Raw::client(server).await;
    for params in ["[]", "{}"] {
        let request =
            format!(r#"{{"jsonrpc":"2.0","method":"rpc.discover","params":{params},"id":1}}"#);
        let answer: Value = serde_json::from_str(&raw.ask(request).await).unwrap();
        assert_eq!(answer["result"]["openrpc"], "1.3.2");
    }
    let answer = raw.ask(r#"{"jsonrpc":"2.0","method":"rpc.discover","params":[1],"id":1}"#).await;
    assert!(answer.contains("-32602"), "{answer}");
}

#[tokio::test]
async fn an_http_client_gets_it_too() {
    let server = Server::builder().services(services()).discover(Info::new("Server", "1"));
    let address = post::address(server).await;
    let answer = post::ask(address, r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(names(&answer["result"]), ["open", "admin.key"]);
}

#[test]
fn another_method_of_that_name_is_a_duplicate() {
    let server = Server::builder()
        .method("rpc.discover", |_: Context, (): ()| async { Ok(()) })
        .discover(Info::new("Server", "1"));
    assert!(server.build().is_err());
}
