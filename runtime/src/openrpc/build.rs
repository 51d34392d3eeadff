//! Builds the document of an endpoint from the descriptions of its methods.
//!
//! Params are described as they are deserialized, and everything else as it is serialized. Where
//! the two differ for a type, the document has two schemas: `Account`, and `AccountInput` for params.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::extensions;
use super::method::{
    Data, ErrorDescription, Errors, Example, Method, Outcome, Param, ParamStructure, SchemaFn,
};
use super::refs::{Names, name_in, reachable, set_titles};
use super::{Document, Info};
use crate::link::pending_calls::Side;
use crate::protocol::error::ErrorObject;

/// Where the document has its schemas.
pub(super) const SCHEMAS: &str = "/components/schemas";
/// Where the schemas of params are until the document is complete.
pub(super) const INPUTS: &str = "/components/inputs";

pub(super) type Object = Map<String, Value>;

/// The described methods of an endpoint, and those that it expects from its peers.
pub(crate) struct Api {
    /// The side that the endpoint is.
    pub(crate) side: Side,
    pub(crate) own: Vec<Method>,
    pub(crate) peers: Vec<Method>,
    /// The names of methods without a description.
    pub(crate) undescribed: Vec<String>,
}

impl Api {
    pub(crate) fn document(self, info: &Info) -> Document {
        let peer = match self.side {
            Side::Server => Side::Client,
            Side::Client => Side::Server,
        };
        let (own, peer) = (name_of(self.side), name_of(peer));
        let mut schemas = Schemas::new();
        let mut methods: Vec<Object> = Vec::new();
        let described = self.own.into_iter().map(|method| (own, method));
        for (by, method) in described.chain(self.peers.into_iter().map(|method| (peer, method))) {
            let described = schemas.method(method);
            match methods.iter_mut().find(|known| known.get("name") == described.get("name")) {
                Some(known) => merge(known, described, by),
                None => {
                    methods.push(described);
                    if let Some(method) = methods.last_mut().filter(|_| by != "server") {
                        method.insert("x-implemented-by".to_owned(), json!([by]));
                    }
                }
            }
        }
        let mut document = head(info);
        let mut methods = Value::from_iter(methods.into_iter().map(Value::Object));
        let extensions = extensions::used_by(&methods);
        let schemas = schemas.finish(&mut methods);
        document.insert("methods".to_owned(), methods);
        if !schemas.is_empty() {
            document.insert("components".to_owned(), json!({ "schemas": schemas }));
        }
        if !extensions.is_empty() {
            document.insert("x-extensions".to_owned(), extensions.into());
        }
        Document::new(Value::Object(document), self.undescribed)
    }
}

/// The name of a side in `x-implemented-by`.
pub(crate) fn name_of(side: Side) -> &'static str {
    match side {
        Side::Server => "server",
        Side::Client => "client",
    }
}

/// The names of methods are unique in a document. So a method of both sides has one description.
fn merge(known: &mut Object, described: Object, by: &str) {
    const BY: &str = "x-implemented-by";
    let implemented_by = known.remove(BY);
    if *known == described {
        let sides = implemented_by.unwrap_or_else(|| json!(["server"]));
        let mut sides: Vec<Value> = sides.as_array().cloned().unwrap_or_default();
        if !sides.contains(&by.into()) {
            sides.push(by.into());
        }
        let sides = Value::Array(sides);
        if sides != json!(["server"]) {
            known.insert(BY.to_owned(), sides);
        }
        return;
    }
    if let Some(sides) = implemented_by {
        known.insert(BY.to_owned(), sides);
    }
    let method = described.get("name").and_then(Value::as_str).unwrap_or_default();
    tracing::warn!(
        method,
        "two different descriptions of one method; the OpenRPC document has the first one, because names are unique in it"
    );
}

fn head(info: &Info) -> Object {
    let texts = |members: &[(&str, Option<&str>)]| -> Object {
        let present = members.iter().filter_map(|(name, text)| Some((*name, (*text)?)));
        present.map(|(name, text)| (name.to_owned(), text.into())).collect()
    };
    let mut about = texts(&[
        ("title", Some(&info.title)),
        ("version", Some(&info.version)),
        ("description", info.description.as_deref()),
        ("termsOfService", info.terms_of_service.as_deref()),
    ]);
    if let Some(contact) = &info.contact {
        let contact = texts(&[
            ("name", contact.name.as_deref()),
            ("email", contact.email.as_deref()),
            ("url", contact.url.as_deref()),
        ]);
        about.insert("contact".to_owned(), contact.into());
    }
    if let Some(license) = &info.license {
        let license = texts(&[("name", Some(&license.name)), ("url", license.url.as_deref())]);
        about.insert("license".to_owned(), license.into());
    }
    let mut head = Object::new();
    head.insert("openrpc".to_owned(), info.openrpc.number().into());
    head.insert("info".to_owned(), about.into());
    if !info.servers.is_empty() {
        let servers = info.servers.iter().map(|server| {
            Value::from(texts(&[("name", Some(&server.name)), ("url", Some(&server.url))]))
        });
        head.insert("servers".to_owned(), servers.collect());
    }
    head
}

/// The schemas of a document while it is built.
struct Schemas {
    inputs: SchemaGenerator,
    outputs: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings =
            |path| SchemaSettings::draft07().with(|s| s.definitions_path = Cow::Borrowed(path));
        Schemas {
            inputs: settings(INPUTS).for_deserialize().into_generator(),
            outputs: settings(SCHEMAS).for_serialize().into_generator(),
        }
    }

    // Both generators see each type, in the same order. So they number types with the same name in
    // the same way, unless serde skips a field in one direction.

    fn input(&mut self, schema: SchemaFn) -> Value {
        schema(&mut self.outputs);
        let schema = schema(&mut self.inputs);
        transformed(&mut self.inputs, schema)
    }

    fn output(&mut self, schema: SchemaFn) -> Value {
        schema(&mut self.inputs);
        let schema = schema(&mut self.outputs);
        transformed(&mut self.outputs, schema)
    }

    fn method(&mut self, method: Method) -> Object {
        let mut described = Object::new();
        let mut set = |name: &str, value: Value| drop(described.insert(name.to_owned(), value));
        set("name", (*method.name).into());
        let (summary, mut description) = split_doc(&method.doc);
        if let Some(note) = &method.deprecated {
            set("deprecated", true.into());
            if !note.is_empty() {
                let gap = if description.is_empty() { "" } else { "\n\n" };
                description = format!("{description}{gap}Deprecated: {note}");
            }
        }
        for (name, text) in [("summary", summary), ("description", description)] {
            if !text.is_empty() {
                set(name, text.into());
            }
        }
        let params = match (method.structure, method.params.as_slice()) {
            (ParamStructure::Whole, [whole]) => {
                let mut schema = self.input(whole.schema);
                let params = self.whole(&schema);
                params.leave_out_options(&mut schema);
                set("x-params", schema);
                params
            }
            (structure, params) => {
                let params = params.iter().map(|param| self.param(param)).collect();
                Params { structure, whole: false, list: params }
            }
        };
        set("paramStructure", params.structure.name().into());
        let examples: Vec<Value> =
            method.examples.iter().filter_map(|e| example(e, &params)).collect();
        set("params", params.list.into());
        let result = match (&method.subscription, method.result) {
            (Some(_), _) => {
                json!({ "type": "string", "description": "The id of the subscription." })
            }
            (None, Some(schema)) => self.output(schema),
            (None, None) => json!({ "type": "null" }),
        };
        set("result", json!({ "name": "result", "schema": result }));
        let (errors, data) = self.errors(&method.errors);
        for (name, value) in [("errors", Value::from(errors)), ("x-error-data", data.into())] {
            if !matches!(&value, Value::Array(list) if list.is_empty())
                && !matches!(&value, Value::Object(members) if members.is_empty())
            {
                set(name, value);
            }
        }
        if !examples.is_empty() {
            set("examples", examples.into());
        }
        if !method.aliases.is_empty() {
            set("x-aliases", method.aliases.iter().map(|name| Value::from(&**name)).collect());
        }
        for (name, is) in [("x-idempotent", method.idempotent), ("x-ordered", method.ordered)] {
            if is {
                set(name, true.into());
            }
        }
        if method.cancel_drops {
            set("x-cancel", "drop".into());
        }
        if let Some(progress) = method.progress {
            set("x-progress", self.output(progress));
        }
        if let Some(subscription) = &method.subscription {
            let mut about = Object::new();
            about.insert("notification".to_owned(), (*subscription.notification).into());
            about.insert("unsubscribe".to_owned(), (*subscription.unsubscribe).into());
            about.insert("item".to_owned(), self.output(subscription.item));
            if subscription.resume {
                about.insert("resume".to_owned(), true.into());
            }
            set("x-subscription", about.into());
        }
        described
    }

    fn param(&mut self, param: &Param) -> Value {
        let mut schema = self.input(param.schema);
        if let Some(default) = &param.default {
            schema = with_default(schema, default.clone());
        }
        descriptor(&param.name, param.required, schema)
    }

    /// The params of a method whose `params` are one value, as far as a list of params can
    /// describe them: the properties of a struct, or the elements of a tuple.
    fn whole(&self, schema: &Value) -> Params {
        let definition = self.resolved(schema);
        let structure = self.structure_of(definition, 0);
        if structure != ParamStructure::ByPosition {
            let required = definition.get("required").and_then(Value::as_array);
            let is_required =
                |name: &str| required.is_some_and(|list| list.iter().any(|entry| *entry == *name));
            let properties = definition.get("properties").and_then(Value::as_object);
            let sorted: BTreeMap<&String, &Value> = properties.into_iter().flatten().collect();
            let list = sorted
                .into_iter()
                .map(|(name, schema)| descriptor(name, is_required(name), schema.clone()));
            return Params { structure, whole: true, list: list.collect() };
        }
        let elements = definition.get("items").and_then(Value::as_array);
        let elements = elements.map(Vec::as_slice).unwrap_or_default();
        // Each `Option` at the end of a tuple may be missing.
        let required = elements.iter().rposition(|schema| !allows_null(self.resolved(schema)));
        let required = required.map_or(0, |last| last + 1);
        let list = elements.iter().enumerate().map(|(index, schema)| {
            descriptor(&format!("param{}", index + 1), index < required, schema.clone())
        });
        Params { structure: ParamStructure::ByPosition, whole: true, list: list.collect() }
    }

    /// Whether the values of a schema are lists or objects, if all of them are one of the two.
    fn structure_of(&self, schema: &Value, depth: u32) -> ParamStructure {
        let schema = self.resolved(schema);
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => return ParamStructure::ByName,
            Some("array") => return ParamStructure::ByPosition,
            _ => {}
        }
        let alternatives = ["oneOf", "anyOf"].iter().find_map(|word| schema.get(word)?.as_array());
        // Bounded, because a definition may refer to itself.
        let alternatives = alternatives.filter(|_| depth < 16).map(Vec::as_slice);
        let mut structures = alternatives
            .unwrap_or_default()
            .iter()
            .filter(|alternative| !allows_null(alternative))
            .map(|alternative| self.structure_of(alternative, depth + 1));
        let first = structures.next().unwrap_or(ParamStructure::Either);
        if structures.all(|other| other == first) { first } else { ParamStructure::Either }
    }

    /// The definition that an input's schema refers to.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // Bounded, because a definition may refer to itself.
        for _ in 0..16 {
            let reference = schema.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| name_in(reference, INPUTS));
            match name.and_then(|name| self.inputs.definitions().get(&name)) {
                Some(definition) => schema = definition,
                None => break,
            }
        }
        schema
    }

    /// The declared errors, and the schemas of their data by code.
    fn errors(&mut self, errors: &Errors) -> (Vec<Value>, Object) {
        let mut list: Vec<Value> = Vec::new();
        let mut data: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for error in &errors.list {
            let code = error.code.0;
            if !list.iter().any(|known| known["code"] == code) {
                list.push(json!({ "code": code, "message": error.message }));
            }
            if let Some(schema) = self.data(error) {
                let known = data.entry(code).or_default();
                if !known.contains(&schema) {
                    known.push(schema);
                }
            }
        }
        let data = data.into_iter().map(|(code, mut schemas)| {
            let schema = match schemas.len() {
                1 => schemas.remove(0),
                _ => json!({ "anyOf": schemas }),
            };
            (code.to_string(), schema)
        });
        (list, data.collect())
    }

    fn data(&mut self, error: &ErrorDescription) -> Option<Value> {
        Some(match &error.data {
            Data::None => return None,
            Data::Value(schema) => self.output(*schema),
            Data::Object(fields) => {
                let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
                let properties: Object = fields
                    .iter()
                    .map(|(name, schema)| ((*name).to_owned(), self.output(*schema)))
                    .collect();
                json!({ "type": "object", "required": required, "properties": properties })
            }
            Data::List(elements) => {
                let items: Vec<Value> =
                    elements.iter().map(|schema| self.output(*schema)).collect();
                let count = items.len();
                json!({ "type": "array", "items": items, "minItems": count, "maxItems": count })
            }
        })
    }

    /// Gives the schemas their final names, and returns those that the methods use.
    fn finish(mut self, methods: &mut Value) -> Object {
        let mut inputs = self.inputs.take_definitions(true);
        let mut outputs = self.outputs.take_definitions(true);
        let used_inputs = reachable(methods, &inputs, INPUTS);
        let used_outputs = reachable(methods, &outputs, SCHEMAS);
        inputs.retain(|name, _| used_inputs.contains(name));
        outputs.retain(|name, _| used_outputs.contains(name));

        let names = Names::of(&inputs, &outputs);
        let mut schemas = Object::new();
        for (definitions, new_names) in [(outputs, &names.outputs), (inputs, &names.inputs)] {
            for (name, mut schema) in definitions {
                names.rename(&mut schema);
                if let Some(new) = new_names.get(&name) {
                    schemas.insert(new.clone(), schema);
                }
            }
        }
        names.rename(methods);
        set_titles(&mut schemas);
        schemas
    }
}

/// The params of a method as they stand in the document.
struct Params {
    structure: ParamStructure,
    /// Whether `params` as a whole is one value.
    whole: bool,
    list: Vec<Value>,
}

impl Params {
    /// Each `Option` at the end of a tuple may be missing, but schemars gives all tuples their full
    /// length. A tuple struct keeps it, because its schema may have other uses.
    fn leave_out_options(&self, schema: &mut Value) {
        if let (Some(Value::Array(_)), Some(least)) =
            (schema.get("items").cloned(), schema.get_mut("minItems"))
        {
            *least = self.list.iter().filter(|param| param["required"] == true).count().into();
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter_map(|param| param.get("name")?.as_str())
    }
}

impl ParamStructure {
    fn name(self) -> &'static str {
        match self {
            ParamStructure::Either => "either",
            ParamStructure::ByPosition | ParamStructure::Whole => "by-position",
            ParamStructure::ByName => "by-name",
        }
    }
}

fn descriptor(name: &str, required: bool, schema: Value) -> Value {
    json!({ "name": name, "required": required, "schema": schema })
}

/// The first paragraph of a doc comment in one line, and the rest.
fn split_doc(doc: &str) -> (String, String) {
    let doc = doc.replace("\r\n", "\n");
    let doc = doc.trim();
    let (first, rest) = doc.split_once("\n\n").unwrap_or((doc, ""));
    let summary: Vec<&str> = first.lines().map(str::trim).collect();
    // The first line keeps its indentation, because it may be code.
    (summary.join(" "), rest.trim_start_matches('\n').trim_end().to_owned())
}

fn transformed(generator: &mut SchemaGenerator, mut schema: Schema) -> Value {
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.to_value()
}

/// In draft 7, nothing next to a `$ref` counts.
fn with_default(schema: Value, default: Value) -> Value {
    let mut members = match schema {
        Value::Object(members) if !members.contains_key("$ref") => members,
        Value::Object(reference) => Object::from_iter([("allOf".to_owned(), json!([reference]))]),
        _ => Object::new(),
    };
    members.insert("default".to_owned(), default);
    members.into()
}

fn allows_null(schema: &Value) -> bool {
    let is_null = |schema: &Value| match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == "null"),
        Some(name) => name == "null",
        None => false,
    };
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    is_null(schema) || alternatives.is_some_and(|list| list.iter().any(is_null))
}

/// `None` if a value of the example cannot be serialized, which was logged.
fn example(example: &Example, params: &Params) -> Option<Value> {
    if example.broken {
        return None;
    }
    let mut given: Vec<Option<Value>> = example.params.iter().cloned().map(Some).collect();
    let mut whole = None;
    if params.whole {
        whole = given.pop().flatten();
        given = match (&whole, params.structure) {
            (Some(Value::Array(elements)), ParamStructure::ByPosition) => {
                elements.iter().cloned().map(Some).collect()
            }
            (Some(Value::Object(members)), ParamStructure::ByName) => {
                params.names().map(|name| members.get(name).cloned()).collect()
            }
            _ => Vec::new(),
        };
    }
    let values = params.names().zip(given).filter_map(|(name, value)| Some((name, value?)));
    let values = values.map(|(name, value)| json!({ "name": name, "value": value }));
    let mut pair = Object::new();
    pair.insert("name".to_owned(), (*example.name).into());
    pair.insert("params".to_owned(), values.collect());
    if let Some(whole) = whole {
        pair.insert("x-params".to_owned(), whole);
    }
    match &example.outcome {
        Some(Outcome::Error(error)) => {
            pair.insert("x-error".to_owned(), error_object(error));
        }
        Some(Outcome::Result(value)) => {
            pair.insert("result".to_owned(), json!({ "name": "result", "value": value }));
        }
        None => {
            pair.insert("result".to_owned(), json!({ "name": "result", "value": null }));
        }
    }
    Some(pair.into())
}

fn error_object(error: &ErrorObject) -> Value {
    let mut object = json!({ "code": error.code().0, "message": error.message() });
    let data = error.data().and_then(|data| serde_json::from_str(data.get()).ok());
    if let (Some(members), Some(data)) = (object.as_object_mut(), data) {
        members.insert("data".to_owned(), data);
    }
    object
}
