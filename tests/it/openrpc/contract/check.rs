//! Compares what both sides send with what the document of the server says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::openrpc::Info;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Endpoint, ErrorCode, Peer};
use wsjsonrpc_tests::{Raw, first_peer};

use super::schemas::Schemas;
use super::wire::{Recording, Side, connect, handshake};

/// How many values of each kind a method has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) params: usize,
    pub(super) results: usize,
    pub(super) errors: usize,
    pub(super) items: usize,
    pub(super) progress: usize,
}

/// A server, a client of it, and the server's document, with which each sent text is compared.
pub(super) struct Contract {
    pub(super) client: Client,
    /// The server's handle to the client.
    pub(super) peer: Peer,
    pub(super) schemas: Schemas,
    pub(super) sent: BTreeMap<String, Sent>,
    endpoint: Endpoint,
    recording: Recording,
    /// Methods of the requests without a response, by the side and the id.
    pending: HashMap<(Side, String), usize>,
    /// Methods of the subscriptions, by the side that sends the items and the id.
    subscriptions: HashMap<(Side, String), usize>,
    /// Methods of the requests that asked for progress, by their token.
    progress: HashMap<String, usize>,
    /// The params of the requests, by method.
    params: Vec<(usize, Value)>,
    /// The declared errors that were sent: the method and the code.
    pub(super) errors: BTreeSet<(String, i64)>,
    /// What did not fit.
    pub(super) faults: Vec<String>,
}

impl Contract {
    pub(super) async fn of(
        client: ClientBuilder,
        server: ServerBuilder,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let endpoint = server.build().expect("method names are unique");
        let document = endpoint.openrpc(&Info::new("Contract", "1"));

        assert_eq!(document.undescribed(), [""; 0]);
        let mut document: Value = serde_json::from_str(&document.to_string()).unwrap();
        change(&mut document);
        let (client, recording) = connect(client, &endpoint).await;
        let peer = first_peer(&endpoint).await;
        Contract {
            client,
            peer,
            schemas: Schemas::of(document),
            sent: BTreeMap::new(),
            endpoint,
            recording,
            pending: HashMap::new(),
            subscriptions: HashMap::new(),
            progress: HashMap::new(),
            params: Vec::new(),
            errors: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn methods(&self) -> &[Value] {
        self.schemas.document()["methods"].as_array().unwrap()
    }

    pub(super) fn index_of(&self, method: &str) -> Option<usize> {
        self.methods().iter().position(|described| {
            let aliases = described["x-aliases"].as_array().into_iter().flatten();
            described["name"] == method || aliases.into_iter().any(|alias| alias == method)
        })
    }

    /// Checks all texts since the last call.
    pub(super) fn check(&mut self) {
        for (from, text) in self.recording.take() {
            match text {
                Value::Array(batch) => batch.iter().for_each(|text| self.check_text(from, text)),
                text => self.check_text(from, &text),
            }
        }
    }

    /// Sends a request over another connection, and checks it and this many texts of the server.
    pub(super) async fn exchange(&mut self, request: &str, texts: usize) {
        let (mut raw, _) = Raw::client_with(&self.endpoint, handshake()).await;
        raw.send(request).await;
        self.check_text(Side::Client, &serde_json::from_str(request).unwrap());
        for _ in 0..texts {
            let text = raw.receive().await;
            self.check_text(Side::Server, &serde_json::from_str(&text).unwrap());
        }
    }

    /// The params of a method's requests.
    pub(super) fn params_of(&self, method: usize) -> Vec<Value> {
        let own = self.params.iter().filter(|(index, _)| *index == method);
        own.map(|(_, params)| params.clone()).collect()
    }

    /// Forgets all texts since the last call. Tests with wrong params don't expect them to fit.
    pub(super) fn skip(&mut self) {
        self.recording.take();
    }

    fn check_text(&mut self, from: Side, text: &Value) {
        let id = text.get("id").map(Value::to_string);
        let Some(method) = text.get("method").and_then(Value::as_str) else {
            let id = id.expect("a text is a request or a response");
            let method = self.pending.remove(&(from.other(), id));
            return self.check_response(from, method.expect("a response has a request"), text);
        };
        if method == "$/progress" {
            let token = text["params"]["token"].to_string();
            let index = self.progress[&token];
            self.check_value(index, "x-progress", &text["params"]["value"]);
            return self.count(index, |sent| &mut sent.progress);
        }
        if method.starts_with("$/") {
            return;
        }
        if let Some(index) = self.topic(from, method, text) {
            return self.check_item(index, text);
        }
        let is_unsubscribe =
            |described: &Value| described["x-subscription"]["unsubscribe"] == method;
        if self.methods().iter().any(is_unsubscribe) {
            self.pending.insert((from, id.unwrap()), usize::MAX);
            return;
        }
        let index = self.index_of(method).unwrap_or_else(|| panic!("{method} is not described"));
        let sides = self.methods()[index].get("x-implemented-by").cloned();
        let expected = match from {
            Side::Client => None,
            Side::Server => Some(json!(["client"])),
        };
        assert_eq!(sides, expected, "{method}");
        let params = text.get("params").cloned().unwrap_or(Value::Null);
        self.params.push((index, params.clone()));
        if let Err(fault) = self.check_params(index, &params) {
            self.faults.push(format!("{method}: {fault}"));
        }
        self.count(index, |sent| &mut sent.params);
        if let Some(token) = text["wsjsonrpc"].get("progress") {
            self.progress.insert(token.to_string(), index);
        }
        if let Some(id) = id {
            self.pending.insert((from, id), index);
        }
    }

    /// The subscription that a notification belongs to.
    fn topic(&self, from: Side, method: &str, text: &Value) -> Option<usize> {
        let subscription = text.get("params")?.get("subscription")?.as_str()?;
        let index = *self.subscriptions.get(&(from, subscription.to_owned()))?;
        let about = &self.methods()[index]["x-subscription"];
        (about["notification"] == method).then_some(index)
    }

    fn check_item(&mut self, index: usize, text: &Value) {
        let params = &text["params"];
        if let Some(item) = params.get("result") {
            self.check_value(index, "x-subscription/item", item);
            self.count(index, |sent| &mut sent.items);
        } else if let Some(error) = params.get("error").filter(|error| !error.is_null()) {
            self.check_error(index, error);
        }
        let has_position = params.get("offset").is_some() || params.get("position").is_some();
        if has_position && self.methods()[index]["x-subscription"]["resume"] != true {
            self.faults.push(format!("{text} has a position"));
        }
    }

    fn check_response(&mut self, from: Side, index: usize, text: &Value) {
        if index == usize::MAX {
            return;
        }
        if let Some(error) = text.get("error") {
            return self.check_error(index, error);
        }
        let result = &text["result"];
        self.check_value(index, "result/schema", result);
        self.count(index, |sent| &mut sent.results);
        if self.methods()[index].get("x-subscription").is_some() {
            let id = result.as_str().expect("the id of a subscription is a string");
            self.subscriptions.insert((from, id.to_owned()), index);
        }
    }

    fn check_error(&mut self, index: usize, error: &Value) {
        let code = error["code"].as_i64().unwrap();
        if code == ErrorCode::INVALID_PARAMS.0 {
            return;
        }
        self.count(index, |sent| &mut sent.errors);
        let method = &self.methods()[index];
        let mut declared = method["errors"].as_array().into_iter().flatten();
        if !declared.any(|declared| declared["code"] == code) {
            return self.faults.push(format!("{}: undeclared error {error}", method["name"]));
        }
        self.errors.insert((method["name"].as_str().unwrap().to_owned(), code));
        let method = &self.methods()[index];
        let data = error.get("data");
        let schema = format!("x-error-data/{code}");
        match (data, method.pointer(&format!("/{schema}"))) {
            (Some(data), Some(_)) => self.check_value(index, &schema, data),
            (None, None) => {}
            _ => self.faults.push(format!("{}: data of {error}", method["name"])),
        }
    }

    fn check_value(&mut self, index: usize, place: &str, value: &Value) {
        if let Err(fault) = self.schemas.check(&format!("/methods/{index}/{place}"), value) {
            let name = &self.methods()[index]["name"];
            self.faults.push(format!("{place} of {name}: {fault}"));
        }
    }

    fn count(&mut self, index: usize, kind: impl Fn(&mut Sent) -> &mut usize) {
        let name = self.methods()[index]["name"].as_str().unwrap().to_owned();
        *kind(self.sent.entry(name).or_default()) += 1;
    }

    /// Checks the params of a request, and notes what they reach.
    fn check_params(&mut self, index: usize, params: &Value) -> Result<(), String> {
        let placed = self.placed(index, params)?;
        for (place, value) in placed {
            self.schemas.check(&format!("/methods/{index}/{place}"), &value)?;
        }
        Ok(())
    }

    /// Whether the document allows these params.
    pub(super) fn allows(&self, index: usize, params: &Value) -> bool {
        self.placed(index, params).is_ok_and(|placed| {
            let mut placed = placed.into_iter();
            placed.all(|(place, value)| {
                self.schemas.allows(&format!("/methods/{index}/{place}"), &value)
            })
        })
    }

    /// The values in `params`, each with the place of its schema.
    fn placed(&self, index: usize, params: &Value) -> Result<Vec<(String, Value)>, String> {
        let method = &self.methods()[index];
        let list = method["params"].as_array().unwrap();
        let structure = method["paramStructure"].as_str().unwrap();
        let mut placed = Vec::new();
        if method.get("x-params").is_some() {
            placed.push(("x-params".to_owned(), params.clone()));
            if list.is_empty() {
                return Ok(placed);
            }
        }
        let place = |index: usize| format!("params/{index}/schema");
        let missing = |param: &Value| match param["required"] == true {
            true => Err(format!("{} is missing in {params}", param["name"])),
            false => Ok(()),
        };
        match params {
            Value::Null => {
                for param in list {
                    missing(param)?;
                }
            }
            Value::Array(values) if structure != "by-name" => {
                if values.len() > list.len() {
                    return Err(format!("{params} has too many elements"));
                }
                for (index, param) in list.iter().enumerate() {
                    match values.get(index) {
                        Some(value) => placed.push((place(index), value.clone())),
                        None => missing(param)?,
                    }
                }
            }
            Value::Object(members) if structure != "by-position" => {
                let known = |name: &String| list.iter().any(|param| param["name"] == **name);
                if let (Some(name), None) =
                    (members.keys().find(|name| !known(name)), method.get("x-params"))
                {
                    return Err(format!("{params} has an unknown member {name}"));
                }
                for (index, param) in list.iter().enumerate() {
                    match members.get(param["name"].as_str().unwrap()) {
                        Some(value) => placed.push((place(index), value.clone())),
                        None => missing(param)?,
                    }
                }
            }
            _ => return Err(format!("{params} for {structure}")),
        }
        Ok(placed)
    }
}
