//! Methods that return their param, and the values for them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wsjsonrpc::{Error, ErrorCode};

use super::check::Contract;

/// JSON texts for the param of a method.
#[derive(Clone, Copy, Default)]
pub(super) struct Case {
    accepts: &'static [&'static str],
    refuses: &'static [&'static str],
    narrow: Option<(&'static str, &'static [&'static str])>,
    loose: Option<(&'static str, &'static [&'static str])>,
}

/// Reasons for differences between a schema and what serde does.
pub(super) const LISTS: &str = "serde reads a struct from a list, too";
pub(super) const ALIASES: &str = "an alias is not part of the schema";
pub(super) const OTHER_MEMBERS: &str = "the schema does not say that serde refuses other members";

/// A method whose param has no special texts.
pub(super) fn case() -> Case {
    Case::default()
}

impl Case {
    /// The schema allows these values, and the server accepts them.
    pub(super) fn accepts(mut self, texts: &'static [&'static str]) -> Self {
        self.accepts = texts;
        self
    }

    /// The schema forbids these values, and the server refuses them.
    pub(super) fn refuses(mut self, texts: &'static [&'static str]) -> Self {
        self.refuses = texts;
        self
    }

    /// The schema forbids these values, but the server accepts them, for this reason. A client that
    /// keeps to the document does not notice it.
    pub(super) fn narrow(mut self, why: &'static str, texts: &'static [&'static str]) -> Self {
        self.narrow = Some((why, texts));
        self
    }

    /// The schema allows these values, but the server refuses them, for this reason: JSON Schema
    /// does not express it.
    pub(super) fn loose(mut self, why: &'static str, texts: &'static [&'static str]) -> Self {
        self.loose = Some((why, texts));
        self
    }
}

/// Declares a trait whose methods return their only param, with the values for each of them:
///
/// ```text
/// echoes! {
///     Trait, TraitClient;
///     method(Type): [values that the typed client sends], case();
/// }
/// ```
///
/// The function `run` makes all the calls.
macro_rules! echoes {
    ($trait:ident, $client:ident; $($name:ident($type:ty): $values:expr, $case:expr;)*) => {
        #[wsjsonrpc::rpc(schema)]
        pub(super) trait $trait {
            $(async fn $name(&self, ctx: &wsjsonrpc::Context, value: $type) -> wsjsonrpc::Result<$type>;)*
        }

        pub(super) struct Echo;

        impl $trait for Echo {
            $(async fn $name(&self, _: &wsjsonrpc::Context, value: $type) -> wsjsonrpc::Result<$type> {
                Ok(value)
            })*
        }

        pub(super) fn serve(server: wsjsonrpc::server::ServerBuilder) -> wsjsonrpc::server::ServerBuilder {
            server.service(Echo.into_service())
        }

        pub(super) async fn run(contract: &mut super::check::Contract) {
            let client = $client::new(&contract.client);
            $(
                let values: Vec<$type> = $values.into_iter().collect();
                for value in values {
                    let result = client.$name(value).await;
                    assert!(result.is_ok(), "{}: {:?}", stringify!($name), result.err());
                }
                super::cases::run(contract, stringify!($name), $case).await;
            )*
        }
    };
}
pub(super) use echoes;

/// What the server does with params.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Accepted,
    Refused,
}

/// The names of the methods that the document describes.
pub(super) fn described(contract: &Contract, filter: impl Fn(&str) -> bool) -> Vec<String> {
    let names = contract.methods().iter().map(|method| method["name"].as_str().unwrap());
    names.filter(|name| filter(name)).map(str::to_owned).collect()
}

async fn verdict(contract: &Contract, method: &str, params: &Value) -> Verdict {
    match contract.client.peer().call::<Value>(method, params).await {
        Ok(_) => Verdict::Accepted,
        Err(Error::Call(error)) if error.code() == ErrorCode::INVALID_PARAMS => Verdict::Refused,
        Err(error) => panic!("{method} with {params}: {error}"),
    }
}

/// Checks the values that the typed client has sent, and sends those of the case.
pub(super) async fn run(contract: &mut Contract, method: &str, case: Case) {
    let parsed = |text: &&str| serde_json::from_str::<Value>(text).unwrap();
    let index = contract.index_of(method).unwrap();
    let name = contract.methods()[index]["params"][0]["name"].as_str().unwrap().to_owned();
    contract.check();
    let sent = contract.params_of(index).into_iter();
    let mut seeds: Vec<Value> = sent.map(|params| params[0].clone()).collect();
    let (too_narrow, narrow) = case.narrow.unwrap_or_default();
    let (too_loose, loose) = case.loose.unwrap_or_default();
    let tables = [
        (case.accepts, true, Verdict::Accepted, ""),
        (case.refuses, false, Verdict::Refused, ""),
        (narrow, false, Verdict::Accepted, too_narrow),
        (loose, true, Verdict::Refused, too_loose),
    ];
    for (texts, allowed, accepted, why) in tables {
        for value in texts.iter().map(parsed) {
            for params in [json!([value]), json!({ &name: value })] {
                let found =
                    (contract.allows(index, &params), verdict(contract, method, &params).await);
                if found != (allowed, accepted) {
                    let (allowed, verdict) = found;
                    contract.faults.push(format!(
                        "{method} with {params}: {verdict:?}, and the document says {allowed}; {why}"
                    ));
                }
                if accepted == Verdict::Accepted && allowed {
                    contract.check()
                } else {
                    contract.skip()
                }
            }
            if allowed && accepted == Verdict::Accepted {
                seeds.push(value);
            }
        }
    }
    let params = seeds.iter().flat_map(changes).map(|value| json!([value]));
    let may_differ = (!narrow.is_empty(), !loose.is_empty());
    compare(contract, method, params.collect(), may_differ).await;
}

/// Changes the params that a method was called with: its params as a list and as an object. The
/// server may refuse some that the document allows if it `is_loose`.
pub(super) async fn vary(contract: &mut Contract, method: &str, is_loose: bool) {
    let index = contract.index_of(method).unwrap();
    let described = &contract.methods()[index];
    let is_whole = described.get("x-params").is_some();
    let names = described["params"].as_array().unwrap().iter();
    let names: Vec<String> = names.map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    let mut changed = Vec::new();
    for params in contract.params_of(index) {
        // JSON-RPC allows nothing but a list or an object. If `params` are one value, an empty list
        // and an empty object both mean that there are none.
        let is_list = params.is_array();
        let may_be_sent = |params: &Value| match is_whole {
            true => {
                if is_list {
                    params.is_array()
                } else {
                    params.is_object()
                }
            }
            false => params.is_array() || params.is_object(),
        };
        let mut forms = vec![params.clone()];
        match params {
            Value::Array(list) if !is_whole => {
                forms.push(names.iter().cloned().zip(list).collect::<Map<_, _>>().into());
            }
            Value::Object(members) if !is_whole => {
                forms.push(names.iter().map_while(|name| members.get(name).cloned()).collect());
            }
            _ => {}
        }
        changed.extend(forms.iter().flat_map(changes).filter(may_be_sent));
    }
    compare(contract, method, changed, (false, is_loose)).await;
}

/// Checks that the document and the server agree about params. They `may_differ` where the document
/// is too narrow, and where it is too loose.
async fn compare(
    contract: &mut Contract,
    method: &str,
    params: Vec<Value>,
    may_differ: (bool, bool),
) {
    let index = contract.index_of(method).unwrap();
    let mut compared = BTreeSet::new();
    for params in params {
        if !compared.insert(params.to_string()) {
            continue;
        }
        let allowed = contract.allows(index, &params);
        match (allowed, verdict(contract, method, &params).await) {
            (true, Verdict::Accepted) => contract.check(),
            (false, Verdict::Refused) => {}
            (false, Verdict::Accepted) if may_differ.0 => {}
            (true, Verdict::Refused) if may_differ.1 => {}
            (_, verdict) => contract.faults.push(format!(
                "{method} with {params}: {verdict:?}, and the document says {allowed}"
            )),
        }
        contract.skip();
    }
}

/// The value with one change: a member left out or added, an element left out or repeated, or
/// anything in it replaced with a value of another type.
fn changes(value: &Value) -> Vec<Value> {
    let others =
        [json!(null), json!(true), json!(-7), json!(0.5), json!("?"), json!([]), json!({})];
    let mut changed: Vec<Value> = others.into_iter().filter(|other| other != value).collect();
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let mut without = elements.clone();
                without.remove(index);
                changed.push(without.into());
                let mut repeated = elements.clone();
                repeated.insert(index, element.clone());
                changed.push(repeated.into());
                changed.extend(changes(element).into_iter().map(|element| {
                    let mut elements = elements.clone();
                    elements[index] = element;
                    elements.into()
                }));
            }
        }
        Value::Object(members) => {
            let mut more = members.clone();
            more.insert("unknown".to_owned(), json!(1));
            changed.push(more.into());
            for (name, member) in members {
                let mut without = members.clone();
                without.remove(name);
                changed.push(without.into());
                changed.extend(changes(member).into_iter().map(|member| {
                    let mut members = members.clone();
                    members[name] = member;
                    members.into()
                }));
            }
        }
        _ => {}
    }
    changed
}
