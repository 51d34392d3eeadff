//! A value that belongs to a connection, lent out.
//!
//! Must not know who has put it there, nor connections.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::Extensions;

/// A value of a connection, as [`Context::get`](crate::Context::get) gives it: left by a handler, by
/// the authorization, or by a layer around the endpoint. Cheap to clone; may be kept beyond the call.
///
/// ```
/// # use wsjsonrpc::{Attached, Context, Result};
/// struct User {
///     name: String,
/// }
///
/// fn whoami(ctx: &Context) -> Result<String> {
///     let user: Attached<User> = ctx.require()?;
///     Ok(user.name.clone())
/// }
/// ```
pub struct Attached<T>(Held<T>);

enum Held<T> {
    Own(Arc<T>),
    /// Those have a value of the type, and are never changed: it is looked up again for each use, as
    /// they lend it out and do not share it.
    Outer(Arc<dyn Outer>),
}

/// What has extensions that nobody changes any more.
pub(crate) trait Outer: Send + Sync {
    fn extensions(&self) -> &Extensions;
}

impl<T: Send + Sync + 'static> Attached<T> {
    pub(crate) fn own(value: Arc<T>) -> Self {
        Attached(Held::Own(value))
    }

    /// The value of the extensions, if they have one.
    pub(crate) fn outer(outer: &Arc<impl Outer + 'static>) -> Option<Self> {
        outer.extensions().get::<T>()?;
        let outer = Arc::clone(outer);
        Some(Attached(Held::Outer(outer)))
    }
}

impl<T: Send + Sync + 'static> Deref for Attached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Held::Own(value) => value,
            Held::Outer(outer) => match outer.extensions().get() {
                Some(value) => value,
                // It was there when this was made.
                None => unreachable!("extensions of a handshake do not change"),
            },
        }
    }
}

impl<T: Send + Sync + 'static> AsRef<T> for Attached<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> Clone for Attached<T> {
    fn clone(&self) -> Self {
        Attached(match &self.0 {
            Held::Own(value) => Held::Own(Arc::clone(value)),
            Held::Outer(outer) => Held::Outer(Arc::clone(outer)),
        })
    }
}

impl<T: PartialEq + Send + Sync + 'static> PartialEq for Attached<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq + Send + Sync + 'static> Eq for Attached<T> {}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Attached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
