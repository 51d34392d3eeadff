//! What a server sends and accepts is what its document says: params, results, errors, items and
//! progress, for many types.
//!
//! A typed client and a server exchange values of all types, and each text between them is compared
//! with the schemas in the server's document. The other way round, small changes of these values
//! show that the server accepts and refuses what the document allows and forbids. Where schemars
//! cannot describe what serde does, the case says so.

mod arguments;
mod asymmetric;
mod callbacks;
mod cases;
mod check;
mod collections;
mod enums;
mod errors;
mod foreign;
mod generics;
mod items;
mod primitives;
mod schemas;
mod structs;
mod wire;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wsjsonrpc::{Client, Server};

use check::Contract;

macro_rules! groups {
    ($($group:ident)*) => {
        fn server() -> wsjsonrpc::server::ServerBuilder {
            let server = callbacks::call(Server::builder());
            $(let server = $group::serve(server);)*
            server
        }

        async fn run(contract: &mut Contract) {
            $($group::run(contract).await;)*
            callbacks::run(contract).await;
        }
    };
}

groups! { primitives enums structs collections generics foreign asymmetric arguments errors items }

#[tokio::test]
async fn values_fit_the_document() {
    let mut contract = Contract::of(callbacks::serve(Client::builder()), server(), |_| {}).await;
    run(&mut contract).await;
    assert!(contract.faults.is_empty(), "{:#?}", contract.faults);

    // The values have reached every part of the document.
    let unreached = contract.schemas.unreached();
    assert!(unreached.is_empty(), "{unreached:#?}");
    let mut results = BTreeSet::new();
    let mut declared = BTreeSet::new();
    for method in contract.methods() {
        let name = method["name"].as_str().unwrap();
        let sent = contract.sent.get(name).copied().unwrap_or_default();
        assert!(sent.params > 0 && (sent.results > 0 || sent.errors > 0), "{name}: {sent:?}");
        assert_eq!(sent.items > 0, method.get("x-subscription").is_some(), "{name}: {sent:?}");
        assert_eq!(sent.progress > 0, method.get("x-progress").is_some(), "{name}: {sent:?}");
        results.insert(method["result"]["schema"].to_string());
        let codes = method["errors"].as_array().into_iter().flatten();
        let codes = codes.map(|error| error["code"].as_i64().unwrap());
        declared.extend(codes.map(|code| (name.to_owned(), code)));
        for param in method["params"].as_array().unwrap() {
            check_default(&contract, method, param);
        }
    }
    let unsent: Vec<_> = declared.difference(&contract.errors).collect();
    assert!(unsent.is_empty(), "{unsent:?}");
    let definitions = contract.schemas.definitions();
    assert!(definitions.contains("ChainOfTree"), "{definitions:?}");
    assert!(definitions.len() >= 100, "{}", definitions.len());
    assert!(results.len() >= 120, "{}", results.len());
}

/// A param with a default is not required, and its schema allows the default.
fn check_default(contract: &Contract, method: &Value, param: &Value) {
    let Some(default) = param["schema"].get("default") else { return };
    assert_eq!(param["required"], false, "{param}");
    let index = contract.index_of(method["name"].as_str().unwrap()).unwrap();
    let place = method["params"].as_array().unwrap().iter().position(|other| other == param);
    let pointer = format!("/methods/{index}/params/{}/schema", place.unwrap());
    assert!(contract.schemas.allows(&pointer, default), "{param}");
}

/// Each change makes the document of a few groups wrong, and is found.
#[tokio::test]
async fn wrong_documents_are_found() {
    fn method<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
        let mut methods = document["methods"].as_array_mut().unwrap().iter_mut();
        methods.find(|method| method["name"] == name).unwrap()
    }
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 15] = [
        ("nothing", |_| {}),
        ("a definition of a result", |document| {
            let definition = &mut document["components"]["schemas"]["Limits"];
            definition["required"].as_array_mut().unwrap().push(json!("more"));
        }),
        ("a definition of a param", |document| {
            let definition = &mut document["components"]["schemas"]["LimitsInput"];
            definition["required"].as_array_mut().unwrap().clear();
        }),
        ("a result", |document| {
            method(document, "arguments.text")["result"]["schema"] = json!({"type": "integer"});
        }),
        ("a param", |document| {
            method(document, "arguments.text")["params"][0]["schema"] = json!({"type": "integer"});
        }),
        ("a required param", |document| {
            method(document, "arguments.many")["params"][1]["required"] = json!(true);
        }),
        ("an optional param", |document| {
            method(document, "arguments.many")["params"][0]["required"] = json!(false);
        }),
        ("the form of the params", |document| {
            method(document, "arguments.by_name")["paramStructure"] = json!("by-position");
        }),
        ("params as a whole", |document| {
            method(document, "arguments.whole_tuple")["x-params"]["minItems"] = json!(2);
        }),
        ("the data of an error", |document| {
            method(document, "errors.fail")["x-error-data"]["5"] = json!({"type": "object"});
        }),
        ("an undeclared error", |document| {
            method(document, "errors.fail")["errors"].as_array_mut().unwrap().remove(0);
        }),
        ("an item", |document| {
            method(document, "pages")["x-subscription"]["item"] = json!({"type": "string"});
        }),
        ("positions", |document| {
            method(document, "items.stored")["x-subscription"]["resume"] = json!(false);
        }),
        ("progress", |document| {
            method(document, "arguments.works")["x-progress"] = json!({"type": "integer"});
        }),
        ("a method of the client", |document| {
            let confirm = method(document, "callbacks.confirm");
            confirm["result"]["schema"] = json!({"type": "null"});
        }),
    ];
    for (what, change) in changes {
        let server = callbacks::call(Server::builder());
        let server = items::serve(errors::serve(arguments::serve(server)));
        let mut contract = Contract::of(callbacks::serve(Client::builder()), server, change).await;
        arguments::run(&mut contract).await;
        errors::run(&mut contract).await;
        items::run(&mut contract).await;
        callbacks::run(&mut contract).await;
        assert_eq!(contract.faults.is_empty(), what == "nothing", "{what}: {:?}", contract.faults);
    }
}
