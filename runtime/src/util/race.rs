//! Waiting for the first of two futures.
//!
//! Must not know what they are.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Which one was first, and what it brought.
pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}

/// The left one is looked at first. The other one is dropped by the caller.
pub(crate) async fn race<A, B>(mut a: A, mut b: B) -> Either<A::Output, B::Output>
where
    A: Future + Unpin,
    B: Future + Unpin,
{
    poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut a).poll(cx) {
            return Poll::Ready(Either::Left(output));
        }
        Pin::new(&mut b).poll(cx).map(Either::Right)
    })
    .await
}
