//! Each feature of `#[rpc]` in a real call between two sides. A raw peer checks the text on the
//! wire, the generated client checks the types. `arguments` tests the types of arguments.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wsjsonrpc::service::Service;
use wsjsonrpc::{Client, Context, ErrorObject, Peer, Result, Server, memory, rpc};
use wsjsonrpc_tests::{Raw, error, request, result};

/// A client of a server with one service.
pub(super) fn connect<C: From<Peer>>(service: impl Service) -> (Client, C) {
    let server = Server::builder().service(service);
    let (client, _) = memory::pair(Client::builder(), server).expect("method names are unique");
    let stub = C::from(client.peer());
    (client, stub)
}

/// Checks the raw results of raw requests, each with the id 1.
pub(super) async fn check_results(service: impl Service, table: &[(&str, &str, &str)]) {
    let mut raw = Raw::client(Server::builder().service(service)).await;
    for (method, params, expected) in table {
        raw.check(&request(method, params, "1"), &[&result(expected, "1")]).await;
    }
}

pub(super) fn shown(value: impl Debug) -> Result<String> {
    Ok(format!("{value:?}"))
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
        let expected = wsjsonrpc_tests::method_not_found(unknown, "1");
        raw.check(&request(unknown, "[1]", "1"), &[&expected]).await;
    }
    Ok(())
}

/// Reports the thread that a method ran on, and the caller.
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
async fn plain_methods_run_inline_and_blocking_ones_on_other_threads() -> Result<()> {
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
async fn one_arc_serves_several_servers() -> Result<()> {
    let here = Arc::new(Here(thread::current().id(), AtomicU64::new(0)));
    let service = ThreadsService::from(Arc::clone(&here));
    let (_first, one) = connect::<ThreadsClient>(service.clone());
    let (_second, two) = connect::<ThreadsClient>(service);
    one.silent(1).await?;
    two.clone().silent(2).await?;
    assert_eq!(here.1.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn an_arc_is_served_like_the_value_inside() -> Result<()> {
    let here = Arc::new(Here(thread::current().id(), AtomicU64::new(0)));
    let (_client, threads) = connect::<ThreadsClient>(Arc::clone(&here).into_service());
    threads.silent(20).await?;
    threads.asynchronous().await?;
    assert_eq!(threads.count().await?, 21);
    assert_eq!(threads.plain().await?, "here: true");
    assert_eq!(threads.blocking("a").await?, "a here: false");
    assert_eq!(here.1.load(Ordering::SeqCst), 21);
    Ok(())
}

#[tokio::test]
async fn an_implementation_is_chosen_at_run_time() -> Result<()> {
    fn chosen(shop: bool) -> Box<dyn Service> {
        let here = Here(thread::current().id(), AtomicU64::new(7));
        if shop { Box::new(Corner.into_service()) } else { Box::new(here.into_service()) }
    }
    let (_client, threads) = connect::<ThreadsClient>(chosen(false));
    assert_eq!(threads.count().await?, 7);
    let shared: Arc<dyn Service> = chosen(true).into();
    let (_client, shop) = connect::<ShopClient>(Arc::clone(&shared));
    assert_eq!(shop.status(3).await?, 3);
    let (_client, shop) = connect::<ShopClient>(shared);
    assert_eq!(shop.place_order(1, 2, "Ada").await?, "2 of 1 for Ada");
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
    // The client has no bounds on its type parameters for this.
    struct Opaque;
    let opaque = StoreClient::<Opaque, 1, Opaque>::new(store.peer().clone()).clone();
    assert!(format!("{opaque:?}").starts_with("StoreClient { peer: "), "{opaque:?}");
    Ok(())
}

#[rpc]
trait Defaults {
    async fn base(&self, ctx: &Context) -> Result<u32>;

    /// Multiplies the base.
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
async fn default_bodies_run_and_can_be_overridden() -> Result<()> {
    let (_client, defaults) = connect::<DefaultsClient>(Two.into_service());
    assert_eq!(defaults.times("21").await?, 42);
    assert_eq!(defaults.fixed().await?, 43);
    defaults.quiet().await?;
    check_results(Two.into_service(), &[("times", r#"["2"]"#, "4")]).await;
    let mut raw =
        Raw::client(Server::builder().expose_errors(false).service(Two.into_service())).await;
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
async fn methods_removed_by_cfg_are_unknown_and_deprecated_ones_work() -> Result<()> {
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

/// If one type implements several traits, `into_service` needs the name of the trait.
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
