//! [`race`]: waits for the first of two futures.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Which future was first, with its output.
pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Waits for the first of two futures, and polls the left one first. The caller drops the other
/// one.
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
