//! Connects a TCP stream to a host name that has several addresses, some of which may be
//! unreachable.
//!
//! The next attempt starts while the earlier ones are still running, because a network that drops
//! packets reports nothing. With broken IPv6, for example, trying one address after another would
//! wait for the first attempt to time out ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305),
//! "Happy Eyeballs").

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep};

/// How long an attempt runs before the next one starts: the value that RFC 8305, section 8,
/// recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to `host`, a name or an address. An IPv6 address may have a zone after a `%`.
///
/// # Errors
/// The name has no address, or none of its addresses accepts the connection: then this is the error
/// of the last attempt. The error names the address.
///
/// # Cancel safety
/// Dropping the future cancels all attempts.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match with_numeric_zone(host, port) {
        Some(address) => vec![address],
        None => match lookup_host((host, port)).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err(unresolved(host, &error)),
        },
    };
    let connect = |address: SocketAddr| async move {
        TcpStream::connect(address).await.map_err(|error| about(&place(host, address), &error))
    };
    first_of(alternating(&addresses), connect).await
}

/// Parses a numeric zone here, because not all resolvers accept one.
fn with_numeric_zone(host: &str, port: u16) -> Option<SocketAddr> {
    let (address, zone) = host.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(SocketAddrV6::new(address, port, 0, zone.parse().ok()?).into())
}

/// A host and one of its addresses, for an error message. They may be the same.
fn place(host: &str, address: SocketAddr) -> String {
    if address.ip().to_string() == host {
        return address.to_string();
    }
    format!("{host}:{} ({address})", address.port())
}

/// Adds the address to an error, because the operating system does not name it.
fn about(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Alternates between the addresses of the two families, starting with the family of the first
/// address, otherwise in their order (RFC 8305, section 4). So a family that does not work at all
/// delays only every other attempt.
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().map(SocketAddr::is_ipv6);
    let (ours, others): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| Some(address.is_ipv6()) == first);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut all = Vec::with_capacity(addresses.len());
    while all.len() < addresses.len() {
        all.extend(ours.next());
        all.extend(others.next());
    }
    all
}

/// Returns the first attempt that succeeds. The next attempt starts when an earlier one fails, or
/// after `HEAD_START`.
async fn first_of<A, T, F>(addresses: Vec<A>, connect: impl Fn(A) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<Pin<Box<F>>> = Vec::new();
    let mut error = None;
    let mut head_start = pin!(sleep(HEAD_START));
    poll_fn(|cx| {
        loop {
            let (mut at, mut failed) = (0, false);
            while let Some(attempt) = attempts.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(why)) => {
                        drop(attempts.remove(at));
                        (error, failed) = (Some(why), true);
                    }
                    Poll::Pending => at += 1,
                }
            }
            let at_once = attempts.is_empty() || failed;
            if waiting.len() > 0 && !at_once && head_start.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match waiting.next() {
                Some(address) => attempts.push(Box::pin(connect(address))),
                None if attempts.is_empty() => {
                    return Poll::Ready(Err(error.take().unwrap_or_else(no_address)));
                }
                None => return Poll::Pending,
            }
            head_start.as_mut().reset(Instant::now() + HEAD_START);
        }
    })
    .await
}

/// The error for a name that cannot be resolved. The system's resolver has no error kind for a name
/// that does not exist; `NotFound` stands for it here. A resolver that has no answer yet says so in
/// its message, or on Windows in its code.
fn unresolved(host: &str, error: &io::Error) -> io::Error {
    /// `WSATRY_AGAIN`
    const TRY_AGAIN: i32 = 11002;
    let words = error.to_string();
    let temporary = error.raw_os_error() == Some(TRY_AGAIN)
        || ["emporary failure", "ry again", "again later"].iter().any(|said| words.contains(said));
    let kind = if temporary { error.kind() } else { io::ErrorKind::NotFound };
    io::Error::new(kind, format!("cannot resolve host `{host}`: {words}"))
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host name has no address")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// The result of an address and after how many milliseconds; `None` for an attempt that never
    /// ends.
    type Fate = Option<(u64, Result<(), io::ErrorKind>)>;

    /// Which attempt succeeds, when in milliseconds, and when each attempt started.
    async fn run(fates: &[Fate]) -> (Result<usize, io::ErrorKind>, u128, Vec<u128>) {
        let begun = Instant::now();
        let starts = RefCell::new(Vec::new());
        let connect = |index: usize| {
            starts.borrow_mut().push(begun.elapsed().as_millis());
            let fate = fates[index];
            async move {
                let Some((delay, outcome)) = fate else { return std::future::pending().await };
                sleep(u32::try_from(delay).unwrap() * MILLISECOND).await;
                outcome.map(|()| index).map_err(io::Error::from)
            }
        };
        let outcome = first_of((0..fates.len()).collect(), connect).await;
        let outcome = outcome.map_err(|error| error.kind());
        (outcome, begun.elapsed().as_millis(), starts.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_address_costs_one_head_start() {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        let unreachable = Err(io::ErrorKind::HostUnreachable);
        let table: [(&[Fate], _, _, &[u128]); 9] = [
            (&[Some((10, Ok(())))], Ok(0), 10, &[0]),
            (&[Some((10, Ok(()))), Some((0, Ok(())))], Ok(0), 10, &[0]),
            (&[None, Some((10, Ok(())))], Ok(1), 260, &[0, 250]),
            (&[None, None, Some((10, Ok(())))], Ok(2), 510, &[0, 250, 500]),
            // The first is late, but before the second.
            (&[Some((300, Ok(()))), Some((100, Ok(())))], Ok(0), 300, &[0, 250]),
            // A failure starts the next attempt at once.
            (&[Some((10, refused)), Some((10, Ok(())))], Ok(1), 20, &[0, 10]),
            (&[None, Some((5, refused)), Some((5, Ok(())))], Ok(2), 260, &[0, 250, 255]),
            (
                &[Some((400, unreachable)), Some((10, refused))],
                Err(io::ErrorKind::HostUnreachable),
                400,
                &[0, 250],
            ),
            (&[], Err(io::ErrorKind::NotFound), 0, &[]),
        ];
        for (fates, outcome, after, starts) in table {
            assert_eq!(run(fates).await, (outcome, after, starts.to_vec()), "{fates:?}");
        }
    }

    #[test]
    fn numeric_zones_need_no_resolver() {
        let with_zone =
            |address: &str, zone| SocketAddrV6::new(address.parse().unwrap(), 9, 0, zone);
        for (host, expected) in [
            ("fe80::1%3", Some(with_zone("fe80::1", 3))),
            ("::1%0", Some(with_zone("::1", 0))),
            ("fe80::1%eth0", None),
            ("fe80::1", None),
            ("example.com%3", None),
        ] {
            assert_eq!(with_numeric_zone(host, 9), expected.map(SocketAddr::V6), "{host}");
        }
    }

    #[test]
    fn an_error_names_the_host_and_the_address() {
        for (host, address, expected) in [
            ("127.0.0.1", "127.0.0.1:9", "127.0.0.1:9"),
            ("::1", "[::1]:9", "[::1]:9"),
            ("localhost", "[::1]:9", "localhost:9 ([::1]:9)"),
        ] {
            assert_eq!(place(host, address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn an_unknown_name_differs_from_a_temporary_failure() {
        for (words, gone) in [
            ("failed to lookup address information: Name or service not known", true),
            ("failed to lookup address information: nodename nor servname provided", true),
            ("failed to lookup address information: Temporary failure in name resolution", false),
            ("failed to lookup address information: Try again", false),
        ] {
            let error = unresolved("example.com", &io::Error::other(words));
            assert_eq!(error.kind() == io::ErrorKind::NotFound, gone, "{words}");
            assert_eq!(error.to_string(), format!("cannot resolve host `example.com`: {words}"));
        }
    }

    #[test]
    fn address_families_alternate() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split_whitespace().map(|address| address.parse().unwrap()).collect()
        };
        for (given, expected) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1",
            ),
            ("1.1.1.1:1 [::1]:1 [::2]:1", "1.1.1.1:1 [::1]:1 [::2]:1"),
        ] {
            assert_eq!(alternating(&parse(given)), parse(expected));
        }
    }
}
