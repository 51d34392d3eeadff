//! A document as a whole: [`Document`], its text, and reading one that another program wrote.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::build::SCHEMAS;
use super::extensions;
use super::refs::reachable;

/// An OpenRPC document. [`Endpoint::openrpc`](crate::Endpoint::openrpc) creates one; others can be
/// parsed.
///
/// `to_string()` and `{}` return its text, with indented lines. The order of the members is always
/// the same, so that two versions of a file can be compared line by line. With `{:#}`, the text has
/// no white space.
///
/// A client reads the document of a server with
/// `client.peer().call::<Document>("rpc.discover", ()).await`.
///
/// ```
/// use wsjsonrpc::openrpc::Document;
///
/// let document: Document = r#"{
///     "openrpc": "1.3.2",
///     "info": {"title": "Math", "version": "1.0.0"},
///     "methods": []
/// }"#
/// .parse()?;
/// assert_eq!(document.as_value()["info"]["title"], "Math");
/// # Ok::<(), wsjsonrpc::openrpc::InvalidDocument>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    value: Value,
    undescribed: Vec<String>,
}

impl Document {
    pub(super) fn new(value: Value, undescribed: Vec<String>) -> Self {
        Document { value, undescribed }
    }

    /// The document as a JSON value.
    pub fn as_value(&self) -> &Value {
        &self.value
    }

    /// Removes the methods for which `keep` returns false, and the schemas that only they use.
    /// `keep` gets the name of a method and the sides that implement it.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str, &[&str]) -> bool) {
        let Some(document) = self.value.as_object_mut() else { return };
        if let Some(methods) = document.get_mut("methods").and_then(Value::as_array_mut) {
            methods.retain(|method| {
                let name = method.get("name").and_then(Value::as_str).unwrap_or_default();
                let sides = method.get("x-implemented-by").and_then(Value::as_array);
                let sides = sides.map(|sides| sides.iter().filter_map(Value::as_str).collect());
                keep(name, &sides.unwrap_or_else(|| vec!["server"]))
            });
        }
        let mut components = document.remove("components");
        let schemas = components.as_mut().and_then(|all| all.get_mut("schemas")?.as_object_mut());
        if let (Some(schemas), Some(methods)) = (schemas, document.get("methods")) {
            let used = reachable(methods, schemas, SCHEMAS);
            schemas.retain(|name, _| used.contains(name));
            if schemas.is_empty() {
                components = None;
            }
        }
        document.extend(components.map(|components| ("components".to_owned(), components)));
        let extensions = document.get("methods").map(extensions::used_by).unwrap_or_default();
        document.remove("x-extensions");
        if !extensions.is_empty() {
            document.insert("x-extensions".to_owned(), extensions.into());
        }
    }

    /// The methods of the endpoint that the document does not contain, because nothing describes
    /// them: their trait has no `#[rpc(schema)]`, or they are closures without a
    /// [`describe`](crate::server::ServerBuilder::describe). Empty for a document that was parsed.
    pub fn undescribed(&self) -> &[String] {
        &self.undescribed
    }
}

/// A text is not an OpenRPC document.
#[derive(Debug)]
pub struct InvalidDocument(String);

impl fmt::Display for InvalidDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an OpenRPC document: {}", self.0)
    }
}

impl std::error::Error for InvalidDocument {}

impl FromStr for Document {
    type Err = InvalidDocument;

    /// Parses a document of any version of OpenRPC. Checks only that it is JSON and has a list of
    /// methods.
    fn from_str(text: &str) -> Result<Self, InvalidDocument> {
        serde_json::from_str(text).map_err(|error| InvalidDocument(error.to_string()))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if !value.get("methods").is_some_and(Value::is_array) {
            return Err(D::Error::custom("it has no list `methods`"));
        }
        Ok(Document::new(value, Vec::new()))
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ordered = Ordered(&self.value, Order::Known);
        let text = match f.alternate() {
            true => serde_json::to_string(&ordered),
            false => serde_json::to_string_pretty(&ordered),
        };
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Ordered(&self.value, Order::Known).serialize(serializer)
    }
}

/// The members that come first in an object, in this order. All others follow alphabetically.
/// serde_json keeps either no order or that of insertion, depending on a feature that any crate in
/// the program can turn on.
const FIRST: [&str; 21] = [
    "openrpc",
    "openrpcExtension",
    "title",
    "name",
    "version",
    "code",
    "message",
    "info",
    "summary",
    "description",
    "deprecated",
    "servers",
    "methods",
    "components",
    "paramStructure",
    "type",
    "format",
    "required",
    "params",
    "result",
    "errors",
];

/// Members whose members are names of the application, and members whose values are its data. In
/// both, `title` is a word like any other.
const NAMES: [&str; 4] = ["patternProperties", "properties", "schemas", "x-error-data"];
const DATA: [&str; 6] = ["const", "data", "default", "enum", "value", "x-error"];

/// How the members of an object are ordered.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// As in [`FIRST`].
    Known,
    /// Alphabetically; the members themselves are objects with known members.
    Names,
    /// Alphabetically, at any depth.
    Data,
}

struct Ordered<'a>(&'a Value, Order);

impl Order {
    fn within(self, key: &str) -> Self {
        match self {
            Order::Data => Order::Data,
            Order::Names => Order::Known,
            Order::Known if NAMES.contains(&key) => Order::Names,
            Order::Known if DATA.contains(&key) => Order::Data,
            Order::Known => self,
        }
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ordered(value, order) = *self;
        match value {
            Value::Object(members) => {
                let rank = |key: &str| match order {
                    Order::Known => FIRST.iter().position(|first| *first == key),
                    Order::Names | Order::Data => None,
                };
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by_key(|(key, _)| (rank(key).unwrap_or(FIRST.len()), *key));
                let mut map = serializer.serialize_map(Some(sorted.len()))?;
                for (key, value) in sorted {
                    map.serialize_entry(key, &Ordered(value, order.within(key)))?;
                }
                map.end()
            }
            Value::Array(elements) => {
                serializer.collect_seq(elements.iter().map(|element| Ordered(element, order)))
            }
            other => other.serialize(serializer),
        }
    }
}
