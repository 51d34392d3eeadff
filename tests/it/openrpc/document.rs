//! The text of documents, and the schemas in them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wsjsonrpc::openrpc::{
    Contact, DescribeError, Document, Errors, Example, Info, License, Method, ServerUrl, Version,
};
use wsjsonrpc::{Context, ErrorObject, Methods, Server, schemars};

fn document_of(described: impl IntoIterator<Item = Method>) -> Document {
    let mut methods = Methods::new();
    for method in described {
        let name = method.name().to_owned();
        methods = methods.method(name, |_: Context, (): ()| async { Ok(()) }).describe(method);
    }
    let endpoint = Server::builder().service(methods).build().unwrap();
    endpoint.openrpc(&Info::new("API", "1.2.3"))
}

fn method_of(method: Method) -> Value {
    document_of([method]).as_value()["methods"][0].clone()
}

/// The schema of a param of this type, and the one of a result, with all definitions.
fn both<T: JsonSchema>() -> (Value, Value, Value) {
    let method = Method::new("m").param::<T>("p").result::<T>();
    let document = document_of([method]).as_value().clone();
    let method = &document["methods"][0];
    (
        method["params"][0]["schema"].clone(),
        method["result"]["schema"].clone(),
        document["components"]["schemas"].clone(),
    )
}

#[test]
fn a_whole_document() {
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Order {
        /// The number of the article.
        article: u64,
        note: Option<String>,
    }
    struct SoldOut;
    impl DescribeError for SoldOut {
        fn describe(errors: &mut Errors) {
            errors.add(1001, "sold out").field::<u32>("left");
            errors.add(1002, "no such article");
        }
    }
    let info = Info {
        description: Some("Sells things.".to_owned()),
        terms_of_service: Some("https://example.com/terms".to_owned()),
        contact: Some(Contact { email: Some("shop@example.com".to_owned()), ..Contact::default() }),
        license: Some(License { name: "MIT".to_owned(), url: None }),
        servers: vec![ServerUrl { name: "live".into(), url: "wss://example.com/".into() }],
        ..Info::new("Shop", "2.0.0")
    };
    let order = Method::new("shop.order")
        .alias("order")
        .doc("Orders an\narticle.\n\nTakes a\nwhile.")
        .deprecated("use `shop.buy`")
        .param::<Order>("order")
        .optional_param::<Option<u8>>("priority")
        .param_with_default("count", 1u32)
        .result::<u64>()
        .errors::<SoldOut>()
        .idempotent()
        .ordered()
        .cancel_drops()
        .progress::<f64>()
        .example(
            Example::new("one pen")
                .param(&json!({"article": 7, "note": null}))
                .param(&None::<u8>)
                .param(&1)
                .result(&1007),
        )
        .example(
            Example::new("too many")
                .error(ErrorObject::new(1001, "sold out").with_data(json!({"left": 2}))),
        );
    let news = Method::new("news").subscription::<Order>("unsubscribe_news", "news").resumable();
    let methods = Methods::new()
        .method("shop.order", |_: Context, (): ()| async { Ok(()) })
        .method("order", |_: Context, (): ()| async { Ok(()) })
        .method("news", |_: Context, (): ()| async { Ok(()) })
        .method("hidden", |_: Context, (): ()| async { Ok(()) })
        .describe(order)
        .describe(news);
    let endpoint = Server::builder().service(methods).build().unwrap();
    let document = endpoint.openrpc(&info);
    assert_eq!(document.undescribed(), ["hidden"]);
    wsjsonrpc::testing::assert_openrpc(&document, "it/openrpc/shop.openrpc.json");
}

#[test]
fn one_name_for_a_type_unless_params_and_results_differ() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Same {
        x: i32,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Account {
        id: u64,
        #[serde(default)]
        tags: Vec<String>,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Holder {
        account: Account,
        same: Same,
    }
    let (param, result, schemas) = both::<Holder>();
    assert_eq!(param, json!({"$ref": "#/components/schemas/HolderInput"}));
    assert_eq!(result, json!({"$ref": "#/components/schemas/Holder"}));
    let names: Vec<&String> = schemas.as_object().unwrap().keys().collect();
    assert_eq!(names, ["Account", "AccountInput", "Holder", "HolderInput", "Same"]);
    assert_eq!(schemas["Account"]["required"], json!(["id", "tags"]));
    assert_eq!(schemas["AccountInput"]["required"], json!(["id"]));
    let at = |holder: &str, field: &str| schemas[holder]["properties"][field]["$ref"].clone();
    assert_eq!(at("HolderInput", "account"), "#/components/schemas/AccountInput");
    assert_eq!(at("Holder", "account"), "#/components/schemas/Account");
    assert_eq!(at("HolderInput", "same"), "#/components/schemas/Same");
}

#[test]
fn a_type_that_only_params_use_keeps_its_name() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Account {
        #[serde(default)]
        tags: Vec<String>,
    }
    let document = document_of([Method::new("m").param::<Account>("p")]);
    let schemas = document.as_value()["components"]["schemas"].as_object().unwrap().clone();
    assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Account"]);
    assert_eq!(schemas["Account"].get("required"), None);
}

#[test]
fn types_with_one_name_get_two_names_and_recursion_ends() {
    mod a {
        use wsjsonrpc::schemars;

        #[derive(schemars::JsonSchema)]
        #[allow(dead_code)]
        pub(super) struct Node {
            pub(super) children: Vec<Node>,
        }
    }
    mod b {
        use wsjsonrpc::schemars;

        #[derive(schemars::JsonSchema)]
        #[allow(dead_code)]
        pub(super) struct Node {
            pub(super) next: Vec<Node>,
        }
    }
    let method = Method::new("m").param::<a::Node>("a").param::<b::Node>("b").result::<b::Node>();
    let document = document_of([method]).as_value().clone();
    let schemas = &document["components"]["schemas"];
    let refs =
        |value: &Value| value["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let method = &document["methods"][0];
    let [a, b] = [0, 1].map(|at| refs(&method["params"][at]["schema"]));
    assert_ne!(a, b);
    assert_eq!(refs(&method["result"]["schema"]), b);
    assert_eq!(refs(&schemas[&a]["properties"]["children"]["items"]), a);
    assert_eq!(refs(&schemas[&b]["properties"]["next"]["items"]), b);
}

#[test]
fn names_fit_into_components() {
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Page<T> {
        items: Vec<T>,
        next: Option<u32>,
    }
    #[derive(JsonSchema)]
    #[schemars(rename = "Größe (m²)")]
    #[allow(dead_code)]
    struct Size {
        x: f64,
    }
    let method =
        Method::new("m").param::<Page<Size>>("p").result::<BTreeMap<String, Page<String>>>();
    let document = document_of([method]).as_value().clone();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
    let fits = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    assert!(names.iter().all(|name| fits(&&**name)), "{names:?}");
    assert_eq!(names.len(), 3, "{names:?}");
    // Each reference has its schema.
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} of {names:?}");
    }
}

#[test]
fn a_generic_type_names_its_parameters_on_request() {
    #[derive(JsonSchema)]
    #[schemars(rename = "{T}Page")]
    #[allow(dead_code)]
    struct Page<T> {
        items: Vec<T>,
    }
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Book {
        title: String,
    }
    let method = Method::new("m").param::<Page<Book>>("p").result::<Page<Page<Book>>>();
    let document = document_of([method]).as_value().clone();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
    assert_eq!(names, ["Book", "BookPage", "BookPagePage"]);
    assert_eq!(schemas["BookPage"]["title"], "BookPage");
}

#[test]
fn params_as_one_value() {
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Order {
        article: u64,
        #[serde(default)]
        count: u32,
    }
    let method = method_of(
        Method::new("m")
            .params::<Order>()
            .example(Example::new("e").param(&json!({"article": 7})).result(&())),
    );
    assert_eq!(method["paramStructure"], "by-name");
    assert_eq!(method["params"][0]["name"], "article");
    assert_eq!(method["params"][0]["required"], true);
    assert_eq!(method["params"][1]["required"], false);
    assert_eq!(method["x-params"]["$ref"], "#/components/schemas/Order");
    assert_eq!(method["examples"][0]["params"], json!([{"name": "article", "value": 7}]));
    assert_eq!(method["examples"][0]["x-params"], json!({"article": 7}));

    let method = method_of(Method::new("m").params::<(String, Option<u8>, u8, Option<u8>)>());
    assert_eq!(method["paramStructure"], "by-position");
    let required = method["params"].as_array().unwrap().iter().map(|p| p["required"].clone());
    assert_eq!(required.collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(method["x-params"]["minItems"], 3);
    assert_eq!(method["x-params"]["maxItems"], 4);

    let method = method_of(Method::new("m").params::<Vec<f64>>());
    assert_eq!(method["params"], json!([]));
    assert_eq!(method["x-params"]["type"], "array");
}

#[test]
fn the_structure_of_params_follows_from_the_schema() {
    #[derive(JsonSchema)]
    #[serde(tag = "kind")]
    #[allow(dead_code)]
    enum Tagged {
        A { x: u32 },
        B { y: u32 },
    }
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Flat {
        id: u32,
        #[serde(flatten)]
        tagged: Tagged,
    }
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Both {
        List(Vec<u8>),
        Object { x: u8 },
    }
    let structure = |method: Method| {
        let method = method_of(method);
        let params = method["params"].as_array().unwrap();
        let names = params.iter().map(|param| param["name"].as_str().unwrap().to_owned());
        (method["paramStructure"].as_str().unwrap().to_owned(), names.collect::<Vec<_>>())
    };
    let whole = || Method::new("m");
    for (method, expected, names) in [
        (whole().params::<BTreeMap<String, i64>>(), "by-name", &[][..]),
        (whole().params::<Tagged>(), "by-name", &[]),
        (whole().params::<Flat>(), "by-name", &["id"]),
        (whole().params::<Option<Flat>>(), "by-name", &[]),
        (whole().params::<Vec<u8>>(), "by-position", &[]),
        (whole().params::<(u8, u8)>(), "by-position", &["param1", "param2"]),
        (whole().params::<Both>(), "either", &[]),
        (whole().params::<Value>(), "either", &[]),
    ] {
        let (structure, found) = structure(method);
        assert_eq!(structure, expected, "{found:?}");
        assert_eq!(found, names);
    }
}

#[test]
fn an_example_that_cannot_be_serialized_is_left_out() {
    let broken = BTreeMap::from([((1, 2), 3)]);
    let method = Method::new("m")
        .param::<u8>("x")
        .example(Example::new("param").param(&broken).result(&1))
        .example(Example::new("result").param(&1).result(&broken))
        .example(Example::new("right").param(&1).result(&2));
    let examples = method_of(method)["examples"].as_array().unwrap().clone();
    assert_eq!(examples.len(), 1, "{examples:?}");
    assert_eq!(examples[0]["name"], "right");
}

#[test]
fn names_that_become_equal_in_components_get_numbers() {
    #[derive(JsonSchema)]
    #[schemars(rename = "A B")]
    #[allow(dead_code)]
    struct One {
        one: u8,
    }
    #[derive(JsonSchema)]
    #[schemars(rename = "A_B")]
    #[allow(dead_code)]
    struct Two {
        two: u8,
    }
    let method = Method::new("m").param::<One>("a").param::<Two>("b").result::<(One, Two)>();
    let document = document_of([method]).as_value().clone();
    let schemas = &document["components"]["schemas"];
    let properties = |reference: &Value| {
        let name = reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        schemas[name]["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let method = &document["methods"][0];
    let result = &method["result"]["schema"]["items"];
    for (reference, member) in [
        (&method["params"][0]["schema"], "one"),
        (&method["params"][1]["schema"], "two"),
        (&result[0], "one"),
        (&result[1], "two"),
    ] {
        assert_eq!(properties(reference), [member]);
    }
    assert_eq!(schemas.as_object().unwrap().len(), 2);
}

#[test]
fn numbers_carry_their_width() {
    let schema = |value: Value| value["format"].as_str().unwrap_or("none").to_owned();
    assert_eq!(schema(both::<i64>().0), "int64");
    assert_eq!(schema(both::<u64>().1), "uint64");
    assert_eq!(schema(both::<i32>().0), "int32");
    assert_eq!(schema(both::<f64>().0), "double");
    assert_eq!(both::<u64>().0["minimum"], 0);
}

#[test]
fn a_default_beside_a_reference_counts() {
    #[derive(Serialize, JsonSchema)]
    struct Level {
        value: u8,
    }
    let method = method_of(Method::new("m").param_with_default("level", Level { value: 3 }));
    let schema = &method["params"][0]["schema"];
    assert_eq!(schema["allOf"], json!([{"$ref": "#/components/schemas/Level"}]));
    assert_eq!(schema["default"], json!({"value": 3}));
}

#[test]
fn both_sides_may_implement_a_method() {
    struct Both;
    impl wsjsonrpc::openrpc::Describe for Both {
        fn methods() -> Vec<Method> {
            vec![Method::new("ping"), Method::new("m").param::<u8>("other"), Method::new("c")]
        }
    }
    let server = Server::builder()
        .method("ping", |_: Context, (): ()| async { Ok(()) })
        .method("m", |_: Context, (): ()| async { Ok(()) })
        .describe(Method::new("ping"))
        .describe(Method::new("m"))
        .calls::<Both>();
    let document = server.build().unwrap().openrpc(&Info::default());
    let methods = document.as_value()["methods"].as_array().unwrap();
    let by = |method: &Value| (method["name"].clone(), method["x-implemented-by"].clone());
    let found: Vec<_> = methods.iter().map(by).collect();
    let expected =
        [("ping", json!(["server", "client"])), ("m", Value::Null), ("c", json!(["client"]))];
    assert_eq!(found, expected.map(|(name, sides)| (json!(name), sides)));
    assert_eq!(methods[1]["params"], json!([]), "the first description counts");
}

#[test]
fn a_description_without_a_method_is_left_out() {
    let endpoint = Server::builder().describe(Method::new("nobody")).build().unwrap();
    assert_eq!(endpoint.openrpc(&Info::default()).as_value()["methods"], json!([]));
}

#[test]
fn the_version_of_openrpc_is_chosen() {
    let endpoint = Server::builder().build().unwrap();
    let document = endpoint.openrpc(&Info { openrpc: Version::V1_4, ..Info::new("A", "1") });
    assert_eq!(document.as_value()["openrpc"], "1.4.1");
    assert_eq!(
        format!("{document:#}"),
        r#"{"openrpc":"1.4.1","info":{"title":"A","version":"1"},"methods":[]}"#
    );
}

#[test]
fn names_of_the_application_are_in_alphabetical_order() {
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Book {
        author: String,
        title: String,
    }
    let method = Method::new("m")
        .param::<Book>("p")
        .example(Example::new("e").param(&json!({"title": "T", "author": "A"})));
    let text = format!("{:#}", document_of([method]));
    assert!(
        text.contains(r#""properties":{"author":{"type":"string"},"title":{"type":"string"}}"#)
    );
    assert!(text.contains(r#""value":{"author":"A","title":"T"}"#), "{text}");
}

#[test]
fn a_text_that_is_no_document_is_refused() {
    for (text, why) in [
        ("{", "EOF while parsing an object"),
        ("[]", "it has no list `methods`"),
        (r#"{"methods":{}}"#, "it has no list `methods`"),
    ] {
        let error = text.parse::<Document>().unwrap_err().to_string();
        assert!(error.starts_with("not an OpenRPC document: ") && error.contains(why), "{error}");
    }
}
