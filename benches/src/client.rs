//! What the typed clients under test have in common: tasks on one connection that call as fast as
//! they can, and commands from the program that measures.
//!
//! Prints `ready`; then for each line on standard input, a number of milliseconds, it calls for so
//! long and prints how many calls were answered.

use std::future::Future;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::options::Options;

/// A typed client that is connected.
pub trait Caller: Clone + Send + Sync + 'static {
    fn connect(url: String) -> impl Future<Output = Result<Self>>;

    /// Calls `math.sum`.
    fn sum(&self, x: i64, y: i64) -> impl Future<Output = Result<i64>> + Send;

    /// Subscribes to so many items, and takes them. Gives the number in the last one.
    fn items(&self, items: usize) -> impl Future<Output = Result<usize>> + Send {
        async move { bail!("this client has no subscription of {items} items") }
    }

    /// Calls a method that is never answered.
    fn never(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// When the tasks are done.
#[derive(Clone)]
enum End {
    Flag(Arc<AtomicBool>),
    Calls(usize),
}

/// The `main` of a client.
pub fn run<C: Caller>() -> Result<()> {
    let options = Options::from_args()?;
    let runtime = options.runtime()?;
    let caller = runtime.block_on(async {
        let caller = C::connect(format!("ws://{}/", options.address)).await?;
        for _ in 0..options.pending {
            let caller = caller.clone();
            tokio::spawn(async move { caller.never().await });
        }
        anyhow::Ok(caller)
    })?;
    if let Some(calls) = options.calls {
        let end = End::Calls(calls / options.tasks);
        return runtime.block_on(call(&caller, &options, end)).map(|_| ());
    }
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let time = Duration::from_millis(line?.trim().parse()?);
        let calls = runtime.block_on(async {
            let flag = Arc::new(AtomicBool::new(false));
            let end = End::Flag(Arc::clone(&flag));
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                flag.store(true, Ordering::Relaxed);
            });
            call(&caller, &options, end).await
        })?;
        println!("{calls}");
    }
    Ok(())
}

/// Calls from so many tasks at once; gives how many calls were made, or how many items taken.
async fn call<C: Caller>(caller: &C, options: &Options, end: End) -> Result<usize> {
    let items = options.items;
    let task = move |caller: C, end: End| async move {
        let mut calls = 0;
        loop {
            let done = match &end {
                End::Flag(flag) => flag.load(Ordering::Relaxed),
                End::Calls(limit) => calls >= *limit,
            };
            if done {
                return anyhow::Ok(calls);
            }
            if items > 0 {
                ensure!(caller.items(items).await? + 1 == items, "a wrong item");
                calls += items;
                continue;
            }
            ensure!(caller.sum(1, 2).await? == 3, "a wrong sum");
            calls += 1;
        }
    };
    let tasks: Vec<_> =
        (0..options.tasks).map(|_| tokio::spawn(task(caller.clone(), end.clone()))).collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await??;
    }
    Ok(calls)
}
