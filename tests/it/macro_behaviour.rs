//! Each thing that `#[rpc]` supports, in a real call between two sides. How it looks on the wire is
//! checked with a peer that speaks text; that it comes back typed, with the generated client.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wsjsonrpc::{Client, Context, ErrorObject, Peer, Result, Server, Service, memory, rpc};
use wsjsonrpc_tests::{Raw, error, notification, request, result};

/// A client of a server with one service.
fn connect<C: From<Peer>>(service: impl Service) -> (Client, C) {
    let server = Server::builder().service(service);
    let (client, _) = memory::pair(Client::builder(), server).expect("method names are unique");
    let stub = C::from(client.peer());
    (client, stub)
}

/// Checks raw requests against raw results, each with the id 1.
async fn check_results(service: impl Service, table: &[(&str, &str, &str)]) {
    let mut raw = Raw::client(Server::builder().service(service)).await;
    for (method, params, expected) in table {
        raw.check(&request(method, params, "1"), &[&result(expected, "1")]).await;
    }
}

type Maybe<T> = Option<T>;
type Answer<T> = Result<T>;

/// The arguments come back as text.
#[rpc]
trait Arguments {
    async fn text(&self, ctx: &Context, text: &str) -> Result<String>;
    async fn optional_text(&self, ctx: &Context, text: Option<&str>) -> Result<String>;
    async fn slice(&self, ctx: &Context, numbers: &[u8]) -> Result<String>;
    async fn reference(&self, ctx: &Context, map: &BTreeMap<String, u8>) -> Result<String>;
    async fn cow(&self, ctx: &Context, text: Cow<'_, str>) -> Result<String>;
    async fn alias(&self, ctx: &Context, number: Maybe<u8>, text: Maybe<&str>) -> Answer<String>;
    async fn options(&self, ctx: &Context, a: Option<u8>, b: u8, c: Option<u8>) -> Result<String>;
    async fn owned(&self, ctx: &Context, text: String, pair: (u8, bool)) -> Result<String>;
}

struct Shows;

fn shown(value: impl Debug) -> Result<String> {
    Ok(format!("{value:?}"))
}

impl Arguments for Shows {
    async fn text(&self, _: &Context, text: &str) -> Result<String> {
        shown(text)
    }
    async fn optional_text(&self, _: &Context, text: Option<&str>) -> Result<String> {
        shown(text)
    }
    async fn slice(&self, _: &Context, numbers: &[u8]) -> Result<String> {
        shown(numbers)
    }
    async fn reference(&self, _: &Context, map: &BTreeMap<String, u8>) -> Result<String> {
        shown(map)
    }
    async fn cow(&self, _: &Context, text: Cow<'_, str>) -> Result<String> {
        shown(text)
    }
    async fn alias(&self, _: &Context, number: Maybe<u8>, text: Maybe<&str>) -> Answer<String> {
        shown((number, text))
    }
    async fn options(&self, _: &Context, a: Option<u8>, b: u8, c: Option<u8>) -> Result<String> {
        shown((a, b, c))
    }
    async fn owned(&self, _: &Context, text: String, pair: (u8, bool)) -> Result<String> {
        shown((text, pair))
    }
}

#[tokio::test]
async fn arguments_of_every_kind_arrive() -> Result<()> {
    let (_client, shows) = connect::<ArgumentsClient>(Shows.into_service());
    let text = "line\nand \"quotes\" é 𝄞";
    assert_eq!(shows.text(text).await?, format!("{text:?}"));
    assert_eq!(shows.text("").await?, "\"\"");
    assert_eq!(shows.optional_text(Some("a\tb")).await?, r#"Some("a\tb")"#);
    assert_eq!(shows.optional_text(None).await?, "None");
    assert_eq!(shows.slice(&[1, 2]).await?, "[1, 2]");
    let map = BTreeMap::from([("a\"b".to_owned(), 1)]);
    assert_eq!(shows.reference(&map).await?, r#"{"a\"b": 1}"#);
    assert_eq!(shows.cow("a\\b".into()).await?, r#""a\\b""#);
    assert_eq!(shows.alias(None, Some("x")).await?, r#"(None, Some("x"))"#);
    assert_eq!(shows.options(None, 2, Some(3)).await?, "(None, 2, Some(3))");
    assert_eq!(shows.owned("a".into(), (1, true)).await?, r#"("a", (1, true))"#);
    Ok(())
}

#[tokio::test]
async fn strings_are_borrowed_with_and_without_escapes() {
    check_results(
        Shows.into_service(),
        &[
            ("text", r#"["plain"]"#, r#""\"plain\"""#),
            ("text", r#"["\u0061\n\"\ud834\udd1e"]"#, r#""\"a\\n\\\"𝄞\"""#),
            ("text", r#"{"text":"\u0061"}"#, r#""\"a\"""#),
            ("optional_text", r#"["\u0061"]"#, r#""Some(\"a\")""#),
            ("cow", r#"["\u0061"]"#, r#""\"a\"""#),
        ],
    )
    .await;
}

#[tokio::test]
async fn options_may_be_left_out_by_whatever_name_they_go() {
    check_results(
        Shows.into_service(),
        &[
            ("optional_text", "[]", r#""None""#),
            ("optional_text", "[null]", r#""None""#),
            ("alias", "[]", r#""(None, None)""#),
            ("alias", "[1]", r#""(Some(1), None)""#),
            ("alias", r#"{"text":"x"}"#, r#""(None, Some(\"x\"))""#),
            ("options", "[null,2]", r#""(None, 2, None)""#),
            ("options", r#"{"b":2}"#, r#""(None, 2, None)""#),
        ],
    )
    .await;
    let mut raw = Raw::client(Server::builder().service(Shows.into_service())).await;
    let missing = error(-32602, "Invalid params: missing parameter `b` (position 2)", "1");
    raw.check(&request("options", "[null]", "1"), &[&missing]).await;
}

#[derive(Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[rpc]
trait Forms {
    async fn by_position(&self, ctx: &Context, x: i32, y: i32) -> Result<i32>;
    #[method(params = "positional")]
    async fn by_position_too(&self, ctx: &Context, x: i32, y: i32) -> Result<i32>;
    #[method(params = "named")]
    async fn by_name(&self, ctx: &Context, x: i32, #[param(rename = "why")] y: i32) -> Result<i32>;
    #[method(params = "whole")]
    async fn whole_list(&self, ctx: &Context, numbers: &[i32]) -> Result<i32>;
    #[method(params = "whole")]
    async fn whole_object(&self, ctx: &Context, point: Point) -> Result<i32>;
    async fn nothing(&self, ctx: &Context) -> Result<i32>;
}

struct Sums;

impl Forms for Sums {
    async fn by_position(&self, _: &Context, x: i32, y: i32) -> Result<i32> {
        Ok(x + y)
    }
    async fn by_position_too(&self, _: &Context, x: i32, y: i32) -> Result<i32> {
        Ok(x + y)
    }
    async fn by_name(&self, _: &Context, x: i32, y: i32) -> Result<i32> {
        Ok(x + y)
    }
    async fn whole_list(&self, _: &Context, numbers: &[i32]) -> Result<i32> {
        Ok(numbers.iter().sum())
    }
    async fn whole_object(&self, _: &Context, point: Point) -> Result<i32> {
        Ok(point.x + point.y)
    }
    async fn nothing(&self, _: &Context) -> Result<i32> {
        Ok(0)
    }
}

#[tokio::test]
async fn clients_send_in_the_form_of_the_method() -> Result<()> {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let forms = FormsClient::new(client.peer());
    forms.by_position(1, 2).notify().await?;
    assert_eq!(raw.receive().await, notification("by_position", "[1,2]"));
    forms.by_position_too(1, 2).notify().await?;
    assert_eq!(raw.receive().await, notification("by_position_too", "[1,2]"));
    forms.by_position(1, 2).by_name().notify().await?;
    assert_eq!(raw.receive().await, notification("by_position", r#"{"x":1,"y":2}"#));
    forms.by_name(1, 2).notify().await?;
    assert_eq!(raw.receive().await, notification("by_name", r#"{"x":1,"why":2}"#));
    forms.whole_list(&[1, 2, 3]).notify().await?;
    assert_eq!(raw.receive().await, notification("whole_list", "[1,2,3]"));
    forms.whole_object(Point { x: 1, y: 2 }).notify().await?;
    assert_eq!(raw.receive().await, notification("whole_object", r#"{"x":1,"y":2}"#));
    Ok(())
}

#[tokio::test]
async fn servers_take_lists_and_objects_whatever_clients_prefer() -> Result<()> {
    let (_client, forms) = connect::<FormsClient>(Sums.into_service());
    assert_eq!(forms.by_position(1, 2).await?, 3);
    assert_eq!(forms.by_position_too(1, 2).await?, 3);
    assert_eq!(forms.by_name(1, 2).await?, 3);
    assert_eq!(forms.whole_list(&[1, 2, 3]).await?, 6);
    assert_eq!(forms.whole_object(Point { x: 1, y: 2 }).await?, 3);
    assert_eq!(forms.nothing().await?, 0);
    check_results(
        Sums.into_service(),
        &[
            ("by_position", r#"{"y":2,"x":1}"#, "3"),
            ("by_name", "[1,2]", "3"),
            ("by_name", r#"{"why":2,"x":1}"#, "3"),
            ("whole_list", "[]", "0"),
            ("nothing", "{}", "0"),
            ("nothing", "[]", "0"),
        ],
    )
    .await;
    Ok(())
}

#[rpc(namespace = "shop", separator = "/", rename_all = "camelCase")]
trait Shop {
    #[method(params = "named")]
    async fn place_order(
        &self,
        ctx: &Context,
        article_id: u32,
        #[param(default)] how_many: u32,
        #[param(rename = "for_whom", default)] recipient: &str,
    ) -> Result<String>;
    #[method(name = "shop_status", aliases = ["status", "Old Status"])]
    async fn status(&self, ctx: &Context, r#type: u8) -> Result<u8>;
}

struct Corner;

impl Shop for Corner {
    async fn place_order(&self, _: &Context, id: u32, count: u32, name: &str) -> Result<String> {
        Ok(format!("{count} of {id} for {name}"))
    }
    async fn status(&self, _: &Context, r#type: u8) -> Result<u8> {
        Ok(r#type)
    }
}

#[tokio::test]
async fn names_on_the_wire_are_what_the_attributes_say() -> Result<()> {
    let (_client, shop) = connect::<ShopClient>(Corner.into_service());
    assert_eq!(shop.place_order(7, 2, "Ada").await?, "2 of 7 for Ada");
    assert_eq!(shop.status(3).await?, 3);
    check_results(
        Corner.into_service(),
        &[
            ("shop/placeOrder", r#"{"articleId":7,"howMany":2}"#, r#""2 of 7 for ""#),
            ("shop/placeOrder", r#"{"articleId":7,"for_whom":"A\u0064a"}"#, r#""0 of 7 for Ada""#),
            ("shop/placeOrder", "[7]", r#""0 of 7 for ""#),
            ("shop_status", "[1]", "1"),
            ("status", r#"{"type":2}"#, "2"),
            ("Old Status", "[3]", "3"),
        ],
    )
    .await;
    let mut raw = Raw::client(Server::builder().service(Corner.into_service())).await;
    for unknown in ["place_order", "shop/place_order", "shop.placeOrder", "shop/status"] {
        let expected = error(-32601, "Method not found", "1");
        raw.check(&request(unknown, "[1]", "1"), &[&expected]).await;
    }
    Ok(())
}

/// Which thread a method ran on, and who it was asked by.
#[rpc]
trait Threads {
    fn plain(&self, ctx: &Context) -> Result<String>;
    #[method(blocking)]
    fn blocking(&self, ctx: &Context, name: &str) -> Result<String>;
    fn silent(&self, ctx: &Context, number: u64);
    async fn asynchronous(&self, ctx: &Context);
    fn count(&self, ctx: &Context) -> Result<u64>;
}

struct Here(ThreadId, AtomicU64);

impl Threads for Here {
    fn plain(&self, _: &Context) -> Result<String> {
        Ok(format!("here: {}", thread::current().id() == self.0))
    }
    fn blocking(&self, _: &Context, name: &str) -> Result<String> {
        Ok(format!("{name} here: {}", thread::current().id() == self.0))
    }
    fn silent(&self, _: &Context, number: u64) {
        self.1.fetch_add(number, Ordering::SeqCst);
    }
    async fn asynchronous(&self, _: &Context) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
    fn count(&self, _: &Context) -> Result<u64> {
        Ok(self.1.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn plain_methods_run_where_they_are_read_and_blocking_ones_elsewhere() -> Result<()> {
    let here = Here(thread::current().id(), AtomicU64::new(0));
    let (_client, threads) = connect::<ThreadsClient>(here.into_service());
    assert_eq!(threads.plain().await?, "here: true");
    assert_eq!(threads.blocking("a\nb").await?, "a\nb here: false");
    Ok(())
}

#[tokio::test]
async fn a_method_that_returns_nothing_answers_null() -> Result<()> {
    let here = Arc::new(Here(thread::current().id(), AtomicU64::new(0)));
    let (_client, threads) = connect::<ThreadsClient>(ThreadsService::from(Arc::clone(&here)));
    let nothing: () = threads.silent(20).await?;
    assert_eq!(nothing, ());
    threads.asynchronous().await?;
    assert_eq!(threads.count().await?, 21);
    check_results(ThreadsService::from(here), &[("silent", "[1]", "null"), ("count", "[]", "22")])
        .await;
    Ok(())
}

#[tokio::test]
async fn one_value_serves_several_servers_and_stays_in_hand() -> Result<()> {
    let here = Arc::new(Here(thread::current().id(), AtomicU64::new(0)));
    let service = ThreadsService::from(Arc::clone(&here));
    let (_first, one) = connect::<ThreadsClient>(service.clone());
    let (_second, two) = connect::<ThreadsClient>(service);
    one.silent(1).await?;
    two.clone().silent(2).await?;
    assert_eq!(here.1.load(Ordering::SeqCst), 3);
    Ok(())
}

/// A store for any kind of key and value, with room for `N` values.
#[rpc(namespace = "store")]
trait Store<K, const N: usize = 2, V = String>: Debug
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Debug + Send + Sync + 'static,
    Self: Sized,
{
    async fn put(&self, ctx: &Context, key: K, values: Vec<V>) -> Result<String>;
    async fn key(&self, ctx: &Context, key: &K) -> Result<Vec<K>>;
}

#[derive(Debug)]
struct Memory;

impl<const N: usize, V> Store<(u8, u8), N, V> for Memory
where
    V: Serialize + DeserializeOwned + Debug + Send + Sync + 'static,
{
    async fn put(&self, _: &Context, key: (u8, u8), values: Vec<V>) -> Result<String> {
        shown((N, key, values))
    }
    async fn key(&self, _: &Context, key: &(u8, u8)) -> Result<Vec<(u8, u8)>> {
        Ok(vec![*key, *key])
    }
}

#[tokio::test]
async fn generic_traits_have_generic_clients_and_services() -> Result<()> {
    let service: StoreService<_, (u8, u8)> = Memory.into_service();
    let (_client, store) = connect::<StoreClient<(u8, u8)>>(service);
    let put = store.put((1, 2), vec!["a".into(), "b".into()]).await?;
    assert_eq!(put, r#"(2, (1, 2), ["a", "b"])"#);
    assert_eq!(store.key(&(3, 4)).await?, [(3, 4), (3, 4)]);

    let service: StoreService<_, (u8, u8), 3, bool> = Memory.into_service();
    let (_client, store) = connect::<StoreClient<(u8, u8), 3, bool>>(service);
    assert_eq!(store.put((1, 2), vec![true, false]).await?, "(3, (1, 2), [true, false])");
    // Neither of them asks anything of its type parameters.
    struct Opaque;
    let opaque = StoreClient::<Opaque, 1, Opaque>::new(store.peer().clone()).clone();
    assert!(format!("{opaque:?}").starts_with("StoreClient { peer: "), "{opaque:?}");
    Ok(())
}

#[rpc]
trait Defaults {
    async fn base(&self, ctx: &Context) -> Result<u32>;

    /// The base, some times.
    async fn times(&self, ctx: &Context, factor: &str) -> Result<u32> {
        let factor: u32 = factor.parse()?;
        if factor == 0 {
            return Err(ErrorObject::invalid_params("nothing"));
        }
        Ok(self.base(ctx).await? * factor)
    }

    fn fixed(&self, _ctx: &Context) -> Result<u32> {
        Ok(42)
    }

    async fn quiet(&self, _ctx: &Context) {}
}

struct Two;

impl Defaults for Two {
    async fn base(&self, _: &Context) -> Result<u32> {
        Ok(2)
    }
    fn fixed(&self, _: &Context) -> Result<u32> {
        Ok(43)
    }
}

#[tokio::test]
async fn default_bodies_run_and_may_be_replaced() -> Result<()> {
    let (_client, defaults) = connect::<DefaultsClient>(Two.into_service());
    assert_eq!(defaults.times("21").await?, 42);
    assert_eq!(defaults.fixed().await?, 43);
    defaults.quiet().await?;
    check_results(Two.into_service(), &[("times", r#"["2"]"#, "4")]).await;
    let mut raw = Raw::client(Server::builder().service(Two.into_service())).await;
    let refused = error(-32602, "nothing", "1");
    raw.check(&request("times", r#"["0"]"#, "1"), &[&refused]).await;
    let internal = error(-32603, "Internal error", "1");
    raw.check(&request("times", r#"["x"]"#, "1"), &[&internal]).await;
    Ok(())
}

#[rpc]
trait Conditional {
    #[cfg(test)]
    #[method(name = "which", aliases = ["which_one"])]
    async fn is_there(&self, ctx: &Context) -> Result<u8>;

    #[cfg(not(test))]
    #[method(name = "which")]
    async fn is_not_there(&self, ctx: &Context, missing: Missing) -> Result<Missing>;

    #[cfg_attr(test, cfg(not(test)))]
    async fn is_not_there_either(&self, ctx: &Context) -> Result<Missing>;

    #[deprecated(note = "use `which`")]
    async fn old(&self, ctx: &Context) -> Result<u8>;
}

struct Configured;

impl Conditional for Configured {
    async fn is_there(&self, _: &Context) -> Result<u8> {
        Ok(1)
    }
    async fn old(&self, _: &Context) -> Result<u8> {
        Ok(2)
    }
}

#[tokio::test]
async fn methods_without_their_cfg_are_unknown_and_deprecated_ones_still_answer() -> Result<()> {
    let names: Vec<_> = Configured.into_service().methods().into_iter().collect();
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(names, ["which", "which_one", "old"]);
    let (_client, conditional) = connect::<ConditionalClient>(Configured.into_service());
    assert_eq!(conditional.is_there().await?, 1);
    #[expect(deprecated)]
    let old = conditional.old();
    assert_eq!(old.await?, 2);
    Ok(())
}

#[rpc]
trait Asking {
    async fn ask(&self, ctx: &Context, question: &str) -> Result<String>;
}

#[rpc]
trait Answering {
    async fn answer(&self, ctx: &Context, question: &str) -> Result<String>;
}

/// One type may implement several traits; then the trait must be named.
struct Both;

impl Asking for Both {
    async fn ask(&self, ctx: &Context, question: &str) -> Result<String> {
        Ok(ctx.client::<AnsweringClient>().answer(question).await?)
    }
}

impl Answering for Both {
    async fn answer(&self, _: &Context, question: &str) -> Result<String> {
        Ok(format!("{question}? Yes."))
    }
}

#[tokio::test]
async fn the_context_makes_clients_for_the_caller() -> Result<()> {
    let server = Server::builder().service(Asking::into_service(Both));
    let client = Client::builder().service(Answering::into_service(Both));
    let (client, _) = memory::pair(client, server)?;
    let asking = AskingClient::new(client.peer());
    assert_eq!(asking.ask("Really").await?, "Really? Yes.");
    let (first, second) = asking.batch((asking.ask("A"), asking.ask("B"))).await?;
    assert_eq!((first?, second?), ("A? Yes.".to_owned(), "B? Yes.".to_owned()));
    Ok(())
}
