//! [`Recorder`]: a service for tests that records the calls it gets, and answers them by a script.

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

/// The other side, for a test of code that calls: records each call and notification, and answers as it
/// was told. Clones are the same recorder.
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
/// /// What is tested: empties an account. Tries again if the bank is busy.
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
/// Answers that are given several for one method are for one call after another; the last one stays. A
/// method without any is answered with -32601. Answers may be added at any time, also by a clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    calls: watch::Sender<Vec<Recorded>>,
}

impl Recorder {
    /// One that has no answers.
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

    /// Answers with a result.
    ///
    /// # Panics
    /// If the result can't be written as JSON: a map whose keys are no strings, for example.
    #[track_caller]
    pub fn answer(self, method: impl Into<String>, result: impl Serialize) -> Self {
        let method = method.into();
        match to_raw_value(&result) {
            Ok(result) => self.add(method, ScriptedAnswer::Result(result.into())),
            Err(error) => panic!("the answer for `{method}` can't be written as JSON: {error}"),
        }
    }

    /// Answers with what the closure says about the params, which it gets as one value: a tuple or `Vec`
    /// for a list, a struct or map for an object. Params that do not fit are answered with -32602.
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

    /// Answers with an error.
    pub fn fail(self, method: impl Into<String>, error: ErrorObject) -> Self {
        self.add(method, ScriptedAnswer::Error(error))
    }

    /// Never answers.
    pub fn hang(self, method: impl Into<String>) -> Self {
        self.add(method, ScriptedAnswer::Never)
    }

    /// A peer that calls this recorder, over a connection of its own in memory. Needs a tokio runtime.
    pub fn peer(&self) -> Peer {
        match self.connect(Client::builder()) {
            Ok((client, _)) => client.peer(),
            Err(error) => unreachable!("default settings can be used: {error}"),
        }
    }

    /// As [`peer`](Self::peer), for code that serves as well: connects a client, and also gives the peer
    /// by which the test calls and notifies it.
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
    /// As [`memory::pair`](crate::memory::pair).
    pub fn connect(
        &self,
        client: ClientBuilder,
    ) -> std::result::Result<(Client, Peer), ConnectError> {
        memory::pair(client, self.server())
    }

    /// A server with this recorder behind it, for settings and services of its own, a real socket, or a
    /// [network with faults](crate::testing::pair).
    pub fn server(&self) -> ServerBuilder {
        let mut server = Server::builder();
        server.router.catch_all(self.clone());
        server
    }

    /// All calls and notifications so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Recorded> {
        self.shared.calls.borrow().clone()
    }

    /// Those of one method.
    pub fn calls_of(&self, method: &str) -> Vec<Recorded> {
        let calls = self.shared.calls.borrow();
        calls.iter().filter(|call| call.method() == method).cloned().collect()
    }

    /// Waits until so many calls and notifications have come in all, and gives them. For as long as
    /// it takes: put a `tokio::time::timeout` around it where they may not come.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait_for(&self, calls: usize) -> Vec<Recorded> {
        self.wait_until(calls, |_| true).await
    }

    /// As [`wait_for`](Self::wait_for), for those of one method.
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
        // This fails only if the recorder is gone.
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
