//! Incoming batches. Each entry starts as if it were a separate message. Entries that exceed the
//! budget wait until after the next yield ([`Unfinished`]). They wait as positions in the message,
//! and are decoded and resolved when they start.

use super::*;

use std::{iter, vec};

use tokio::runtime::Handle;

use crate::incoming::responder::BatchResponse;
use crate::incoming::responder::PendingBatch;
use crate::protocol::decode::{Position, entry_at};

impl Dispatcher {
    #[inline(never)]
    pub(super) fn batch(
        &self,
        message: &Utf8Bytes,
        mut entries: Vec<BatchEntry<'_>>,
        admission: Admission,
    ) {
        self.spend(entries.len() / READ);
        self.responses(message, &mut entries);
        // Error responses need memory, too: if incomplete batches have used up their memory, the
        // calls of this batch are refused.
        let admission = match admission {
            Admission::Open if self.responder.batch_bytes_left() == 0 => Admission::Busy,
            other => other,
        };
        // If one handler is not ready, all other responses of the batch wait for it.
        let limit = self.responder.limit().min(self.responder.batch_bytes_left());
        let answered = entries.iter().filter_map(|(_, entry)| entry.answered());
        let (mut batch_response, mut pending) = (BatchResponse::new(answered), Vec::new());
        let (mut index, mut cancelled) = (0, Vec::new());
        let mut entries = entries.into_iter();
        while let Some((position, entry)) = entries.next() {
            if self.budget() == 0 {
                let rest = iter::once(position).chain(entries.map(|(position, _)| position));
                let begun = StartedPart { batch_response, pending, index, cancelled };
                return self.suspend(message, rest, begun, admission);
            }
            self.spend(1);
            let started = self.start(message, entry, admission, &mut cancelled);
            let Some((id, started)) = started else { continue };
            match (started, &id) {
                (Started::Done(_), None) => {}
                (Started::Done(response), Some(id)) => {
                    batch_response.put(index, id, response, limit);
                }
                (Started::Pending(in_flight_call), _) => {
                    pending.push((in_flight_call, index, id.clone()))
                }
            }
            index += usize::from(id.is_some());
        }
        self.send_if_complete(&mut batch_response);
        if !pending.is_empty() {
            let ids = pending.iter().filter_map(|(_, _, id)| id.as_ref());
            let size = message.len() + ids.map(Id::weight).sum::<usize>();
            let batch = Arc::new(PendingBatch::new(batch_response, &self.responder));
            batch.count_message(size);
            for (in_flight_call, index, id) in pending {
                spawn_pending(in_flight_call, &batch, index, id);
            }
        }
        // Calls of the same batch can be cancelled only once they have started.
        cancelled.iter().for_each(|id| self.responder.cancel(id));
    }

    /// Answers a batch if no request in it is unanswered.
    fn send_if_complete(&self, batch_response: &mut BatchResponse) {
        if batch_response.is_complete() {
            let nothing = BatchResponse::new(std::iter::empty());
            self.responder.send_array(std::mem::replace(batch_response, nothing));
        }
    }

    /// Starts the call of an entry. Returns `None` if the entry is a cancellation, which is added
    /// to `cancelled` until all calls have started.
    #[inline]
    fn start(
        &self,
        message: &Utf8Bytes,
        entry: Entry<'_>,
        admission: Admission,
        cancelled: &mut Vec<Id>,
    ) -> Option<(Option<Id>, Started)> {
        let (id, flaw) = match entry {
            Entry::Call(call) => {
                // All other control notifications were handled before the calls.
                let control = ControlNotification::read(&call, &self.responder);
                if let Some(ControlNotification::Cancel(id)) = control {
                    cancelled.push(id);
                    return None;
                }
                let (id, call) = self.resolve(message, call);
                let started = self.begin(message.clone(), call, admission, id.is_none());
                return Some((id, started));
            }
            Entry::Invalid(id, flaw) => (id, flaw),
            // Valid responses were removed before; this one has neither a result nor an error.
            Entry::Response(response) => (response.answered(), Flaw::NoMethod),
        };
        let error = ErrorObject::invalid_request(&flaw);
        Some((Some(id), Started::Done(ResponseKind::Error(error))))
    }

    /// Stores the rest of a batch until after the next yield.
    #[cold]
    #[inline(never)]
    fn suspend(
        &self,
        message: &Utf8Bytes,
        rest: impl Iterator<Item = Position>,
        begun: StartedPart,
        admission: Admission,
    ) {
        let StartedPart { mut batch_response, pending, index, cancelled } = begun;
        self.send_if_complete(&mut batch_response);
        let batch = Arc::new(PendingBatch::new(batch_response, &self.responder));
        let mut size = message.len();
        for (in_flight_call, index, id) in pending {
            size += id.as_ref().map_or(0, Id::weight);
            spawn_pending(in_flight_call, &batch, index, id);
        }
        self.unfinished.set(Some(Box::new(Unfinished {
            message: message.clone(),
            rest: rest.collect::<Vec<_>>().into_iter(),
            batch,
            index,
            size,
            cancelled,
            admission,
            received: self.now(),
        })));
    }

    /// Continues a batch that is partly started. Returns `false` if some entries are still left;
    /// they come before any other message.
    #[inline]
    pub(crate) fn resume(&self) -> bool {
        match self.unfinished.take() {
            None => true,
            Some(unfinished) => self.continue_batch(unfinished),
        }
    }

    /// Whether a batch is partly started.
    pub(crate) fn is_midway(&self) -> bool {
        let unfinished = self.unfinished.take();
        let is_midway = unfinished.is_some();
        self.unfinished.set(unfinished);
        is_midway
    }

    /// Called when no response can be sent any more. Handles the rest of a batch as far as
    /// possible, without yielding.
    pub(crate) fn finish(&self) {
        self.budget.set(usize::MAX);
        if let Some(mut unfinished) = self.unfinished.take() {
            unfinished.admission = Admission::Unanswerable;
            self.continue_batch(unfinished);
        }
    }

    #[cold]
    #[inline(never)]
    fn continue_batch(&self, mut unfinished: Box<Unfinished>) -> bool {
        let Unfinished { message, rest, batch, index, size, cancelled, admission, received } =
            &mut *unfinished;
        // Deadlines count from the arrival of the message.
        self.now.set(Some(*received));
        let done = loop {
            if self.budget() == 0 {
                break false;
            }
            let Some(position) = rest.next() else { break true };
            self.spend(1);
            let Some(entry) = entry_at(message, &position) else { continue };
            let started = self.start(message, entry, *admission, cancelled);
            let Some((id, started)) = started else { continue };
            let at = *index;
            *index += usize::from(id.is_some());
            match (started, id) {
                (Started::Done(_), None) => {}
                (Started::Done(response), Some(id)) => batch.put(at, &id, response, None),
                (Started::Pending(in_flight_call), id) => {
                    *size += id.as_ref().map_or(0, Id::weight);
                    spawn_pending(in_flight_call, batch, at, id);
                }
            }
        };
        self.now.set(None);
        if done {
            batch.count_message(*size);
            cancelled.iter().for_each(|id| self.responder.cancel(id));
        } else {
            self.unfinished.set(Some(unfinished));
        }
        done
    }
}

/// Moves a batch's handler that was not ready to a separate task.
fn spawn_pending(
    mut in_flight_call: InFlightCall,
    batch: &Arc<PendingBatch>,
    index: usize,
    id: Option<Id>,
) {
    in_flight_call.join_batch(batch);
    if let Some(id) = id {
        in_flight_call.register(id, ReplyTo::Batch(Arc::clone(batch), index));
    }
    in_flight_call.spawn();
}

/// The part of a batch that was started before a yield.
struct StartedPart {
    batch_response: BatchResponse,
    /// Handlers that were not ready, with the indexes of their responses in the array.
    pending: Vec<(InFlightCall, usize, Option<Id>)>,
    /// The index of the next response.
    index: usize,
    /// The ids of calls that the batch cancels.
    cancelled: Vec<Id>,
}

/// A batch that was partly started and continues after a yield.
pub(super) struct Unfinished {
    message: Utf8Bytes,
    /// The positions in the message at which the remaining entries begin.
    rest: vec::IntoIter<Position>,
    batch: Arc<PendingBatch>,
    index: usize,
    /// The size of the message.
    size: usize,
    cancelled: Vec<Id>,
    admission: Admission,
    /// The age of the connection when the message arrived.
    received: u64,
}

/// Handlers that have started continue in their tasks. Notifications of an unfinished batch are
/// still handled.
impl Drop for Dispatcher {
    fn drop(&mut self) {
        if Handle::try_current().is_ok() {
            self.finish();
        }
    }
}
