//! [`IntoBatch`] for lists and tuples of calls: adds each call to the batch, and waits for all
//! replies at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::outgoing::batch::{Batch, IntoBatch};
use crate::util::BoxFuture;

impl<B: IntoBatch> IntoBatch for Vec<B>
where
    B::Output: Send + 'static,
{
    type Output = Vec<B::Output>;
    type Replies = BoxFuture<Self::Output>;

    fn add_to(self, batch: &mut Batch) -> Self::Replies {
        let replies: Vec<_> = self.into_iter().map(|call| call.add_to(batch)).collect();
        let mut replies: Vec<_> = replies.into_iter().map(Joined::new).collect();
        Box::pin(std::future::poll_fn(move |cx| {
            // Every reply is polled each time, so that their timers run at the same time.
            let waiting = replies.iter_mut().filter_map(|reply| reply.is_pending(cx).then_some(()));
            if waiting.count() > 0 {
                return Poll::Pending;
            }
            Poll::Ready(replies.iter_mut().filter_map(Joined::take).collect())
        }))
    }
}

impl<B: IntoBatch, const N: usize> IntoBatch for [B; N]
where
    B::Output: Send + 'static,
{
    type Output = Vec<B::Output>;
    type Replies = BoxFuture<Self::Output>;

    fn add_to(self, batch: &mut Batch) -> Self::Replies {
        Vec::from(self).add_to(batch)
    }
}

/// One of several futures that are awaited together.
enum Joined<F: Future> {
    Waiting(F),
    Done(Option<F::Output>),
}

impl<F: Future + Unpin> Joined<F> {
    fn new(future: F) -> Self {
        Joined::Waiting(future)
    }

    fn is_pending(&mut self, cx: &mut Context<'_>) -> bool {
        if let Joined::Waiting(future) = self {
            match Pin::new(future).poll(cx) {
                Poll::Ready(output) => *self = Joined::Done(Some(output)),
                Poll::Pending => return true,
            }
        }
        false
    }

    fn take(&mut self) -> Option<F::Output> {
        match self {
            Joined::Waiting(_) => None,
            Joined::Done(output) => output.take(),
        }
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: IntoBatch),+> IntoBatch for ($($name,)+)
        where
            $($name::Output: Send + 'static),+
        {
            type Output = ($($name::Output,)+);
            type Replies = BoxFuture<Self::Output>;

            #[allow(non_snake_case)]
            fn add_to(self, batch: &mut Batch) -> Self::Replies {
                let ($($name,)+) = self;
                $(let mut $name = Joined::new($name.add_to(batch));)+
                Box::pin(std::future::poll_fn(move |cx| {
                    let mut waiting = false;
                    $(waiting |= $name.is_pending(cx);)+
                    if waiting {
                        return Poll::Pending;
                    }
                    match ($($name.take(),)+) {
                        ($(Some($name),)+) => Poll::Ready(($($name,)+)),
                        // Only if it is polled again after it was ready.
                        _ => Poll::Pending,
                    }
                }))
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D F);
tuples!(A B C D F G);
tuples!(A B C D F G H);
tuples!(A B C D F G H I);
tuples!(A B C D F G H I J);
tuples!(A B C D F G H I J K);
tuples!(A B C D F G H I J K L);
tuples!(A B C D F G H I J K L M);
