//! Where the answers to incoming messages go: into the outbox of their connection, or to the one
//! who waits for the only answer that there will be.
//!
//! Must not know what they say.

#[cfg(feature = "tower")]
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "tower")]
use tokio::sync::oneshot;

use crate::calling::link::Link;
#[cfg(feature = "tower")]
use crate::error::CloseReason;

/// Where the answers go.
pub(crate) enum Outlet {
    /// Into the outbox of the link.
    Outbox,
    /// The caller has no connection, and gets one answer.
    #[cfg(feature = "tower")]
    Once(Box<Once>),
}

impl Outlet {
    #[inline]
    pub(crate) fn put(&self, link: &Link, text: Vec<u8>) {
        match self {
            Outlet::Outbox => link.outbox.answer(text),
            #[cfg(feature = "tower")]
            Outlet::Once(once) => once.put(text),
        }
    }
}

/// The way to a caller without a connection, as long as it or one of its handlers is there.
#[cfg(feature = "tower")]
pub(crate) struct Once {
    link: Arc<Link>,
    answer: Mutex<Option<oneshot::Sender<Vec<u8>>>>,
    /// What such a caller takes up, until the last of its handlers has ended.
    _kept: Box<dyn Send + Sync>,
}

#[cfg(feature = "tower")]
impl Once {
    pub(crate) fn new(
        link: Arc<Link>,
        answer: oneshot::Sender<Vec<u8>>,
        kept: Box<dyn Send + Sync>,
    ) -> Self {
        Once { link, answer: Mutex::new(Some(answer)), _kept: kept }
    }

    fn put(&self, text: Vec<u8>) {
        // Who waits is woken outside the lock.
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            // He may have gone.
            let _ = answer.send(text);
        }
    }
}

/// Contexts that were kept learn that there is nobody any more.
#[cfg(feature = "tower")]
impl Drop for Once {
    fn drop(&mut self) {
        self.link.end(CloseReason::NoSocket);
    }
}
