//! [`Recorder`]: a service for tests that records the calls it receives, and responds from a
//! script.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;
use tokio::sync::watch;

use super::recorded::Recorded;
use super::script::{Script, ScriptedAnswer};
use crate::client::Client;
use crate::client::builder::ClientBuilder;
use crate::error::connect_error::ConnectError;
use crate::incoming::service::{Outcome, Request, Service};
use crate::memory;
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorObject, Result};
use crate::server::{Server, ServerBuilder};

/// A counterpart for testing code that makes calls. It records each call and notification, and
/// responds from a script. Clones share the recorder.
///
/// ```
/// use serde_json::json;
/// use wsjsonrpc::testing::Recorder;
/// use wsjsonrpc::{Context, Error, ErrorCode, ErrorObject, Result, rpc};
///
/// #[rpc(namespace = "bank")]
/// trait Bank {
///     async fn balance(&self, ctx: &Context, account: &str) -> Result<i64>;
///     async fn transfer(&self, ctx: &Context, from: &str, to: &str, amount: i64) -> Result<()>;
/// }
///
/// /// The code under test: empties an account, and tries again if the bank is busy.
/// async fn empty(bank: &BankClient, from: &str, to: &str) -> Result<i64, Error> {
///     let amount = bank.balance(from).await?;
///     while let Err(error) = bank.transfer(from, to, amount).await {
///         let Error::Call(error) = error else { return Err(error) };
///         if error.code() != ErrorCode(1) {
///             return Err(Error::Call(error));
///         }
///     }
///     Ok(amount)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = Recorder::new()
///     .answer("bank.balance", 50)
///     .fail("bank.transfer", ErrorObject::new(1, "busy"))
///     .answer("bank.transfer", ());
/// assert_eq!(empty(&BankClient::new(recorder.peer()), "ada", "bob").await?, 50);
///
/// let transfers = recorder.calls_of("bank.transfer");
/// assert_eq!(transfers.len(), 2);
/// assert_eq!(*transfers[0].params(), json!(["ada", "bob", 50]));
/// # Ok(())
/// # }
/// ```
///
/// Several answers for one method are used for one call after another; the last one is used for all
/// further calls. A method without an answer responds with -32601. Answers may be added at any
/// time, also through a clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    calls: watch::Sender<Vec<Recorded>>,
}

impl Recorder {
    /// A recorder without answers.
    pub fn new() -> Self {
        let shared = Shared { script: Mutex::default(), calls: watch::Sender::default() };
        Recorder { shared: Arc::new(shared) }
    }

    fn add(self, method: impl Into<String>, answer: ScriptedAnswer) -> Self {
        let mut script = self.shared.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.add(method.into(), answer);
        drop(script);
        self
    }

    /// Responds to a method with this result.
    ///
    /// # Panics
    /// If the result cannot be serialized to JSON, for example a map whose keys are not strings.
    #[track_caller]
    pub fn answer(self, method: impl Into<String>, result: impl Serialize) -> Self {
        let method = method.into();
        match to_raw_value(&result) {
            Ok(result) => self.add(method, ScriptedAnswer::Result(result.into())),
            Err(error) => panic!("cannot serialize the answer for `{method}`: {error}"),
        }
    }

    /// Responds to a method with the result of the closure. The closure gets all params as one
    /// value: a tuple or `Vec` for a list, a struct or map for an object. Params that do not fit
    /// get -32602.
    ///
    /// ```
    /// use wsjsonrpc::testing::Recorder;
    ///
    /// let recorder = Recorder::new().answer_with("math.sum", |(x, y): (i64, i64)| Ok(x + y));
    /// # drop(recorder);
    /// ```
    pub fn answer_with<P, T>(
        self,
        method: impl Into<String>,
        answer: impl Fn(P) -> Result<T> + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
        T: Serialize,
    {
        let answer = ScriptedAnswer::With(Arc::new(move |params| {
            Ok(to_raw_value(&answer(params.decode()?)?)?)
        }));
        self.add(method, answer)
    }

    /// Responds to a method with an error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use wsjsonrpc::ErrorObject;
    /// use wsjsonrpc::testing::Recorder;
    ///
    /// let recorder = Recorder::new().fail("pay", ErrorObject::new(1001, "no funds"));
    /// let error = recorder.peer().call::<()>("pay", (50,)).await.unwrap_err();
    /// assert_eq!(error.to_string(), "no funds (1001)");
    /// # }
    /// ```
    pub fn fail(self, method: impl Into<String>, error: ErrorObject) -> Self {
        self.add(method, ScriptedAnswer::Error(error))
    }

    /// Never responds to a method, for testing timeouts.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use wsjsonrpc::Error;
    /// use wsjsonrpc::testing::Recorder;
    ///
    /// let recorder = Recorder::new().hang("slow");
    /// let call = recorder.peer().call::<()>("slow", ()).timeout(Duration::from_millis(20));
    /// assert!(matches!(call.await, Err(Error::Timeout(_))));
    /// # }
    /// ```
    pub fn hang(self, method: impl Into<String>) -> Self {
        self.add(method, ScriptedAnswer::Never)
    }

    /// A peer that calls this recorder, over its own connection in memory. Needs a tokio runtime.
    pub fn peer(&self) -> Peer {
        match self.connect(Client::builder()) {
            Ok((client, _)) => client.peer(),
            Err(error) => unreachable!("the default settings are valid: {error}"),
        }
    }

    /// Like [`peer`](Self::peer), for code that also serves: connects a client, and also returns
    /// the peer with which the test calls and notifies that client.
    ///
    /// ```
    /// use wsjsonrpc::Client;
    /// use wsjsonrpc::testing::Recorder;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder().method("tick", |_, (price,): (f64,)| async move { Ok(price) });
    /// let (_client, to_client) = Recorder::new().connect(client)?;
    /// assert_eq!(to_client.call::<f64>("tick", (101.5,)).await?, 101.5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`memory::pair`](crate::memory::pair).
    pub fn connect(
        &self,
        client: ClientBuilder,
    ) -> std::result::Result<(Client, Peer), ConnectError> {
        memory::pair(client, self.server())
    }

    /// A server backed by this recorder, to add settings and services, or to use a real socket or a
    /// [network with faults](crate::testing::pair).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::Client;
    /// use wsjsonrpc::testing::Recorder;
    ///
    /// let server = Recorder::new().answer("math.sum", 3).server().bind("127.0.0.1:0").await?;
    /// let url = server.url();
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::connect(&url).await?;
    /// assert_eq!(client.peer().call::<i64>("math.sum", (1, 2)).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn server(&self) -> ServerBuilder {
        let mut server = Server::builder();
        server.router.catch_all(self.clone());
        server
    }

    /// All calls and notifications so far, in the order in which they arrived.
    pub fn calls(&self) -> Vec<Recorded> {
        self.shared.calls.borrow().clone()
    }

    /// The calls and notifications of one method so far.
    pub fn calls_of(&self, method: &str) -> Vec<Recorded> {
        let calls = self.shared.calls.borrow();
        calls.iter().filter(|call| call.method() == method).cloned().collect()
    }

    /// Waits until at least this many calls and notifications have arrived in total, and returns
    /// all of them. Has no time limit: wrap it in `tokio::time::timeout` if they may not arrive.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::testing::Recorder;
    ///
    /// let recorder = Recorder::new();
    /// recorder.peer().notify("log", ["ready"]).await?;
    /// let calls = recorder.wait_for(1).await;
    /// assert_eq!(calls[0].method(), "log");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait_for(&self, calls: usize) -> Vec<Recorded> {
        self.wait_until(calls, |_| true).await
    }

    /// Like [`wait_for`](Self::wait_for), for one method.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait_for_calls_of(&self, method: &str, calls: usize) -> Vec<Recorded> {
        self.wait_until(calls, |call| call.method() == method).await
    }

    async fn wait_until(&self, count: usize, wanted: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        let of = |calls: &[Recorded]| -> Vec<Recorded> {
            calls.iter().filter(|call| wanted(call)).cloned().collect()
        };
        let mut calls = self.shared.calls.subscribe();
        // This fails only if the recorder was dropped.
        let seen = calls.wait_for(|calls| of(calls).len() >= count).await;
        seen.map(|calls| of(&calls)).unwrap_or_default()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Service for Recorder {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        Vec::new()
    }

    fn call(&self, _: usize, request: Request) -> Outcome {
        let call = Recorded::of(&request);
        self.shared.calls.send_modify(|calls| calls.push(call));
        let mut script = self.shared.script.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = script.next(request.method());
        drop(script);
        answer.give(request)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("calls", &self.shared.calls.borrow().len()).finish()
    }
}
