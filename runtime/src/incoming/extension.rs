//! [`Extension`]: a shared handle to a value that belongs to a connection.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::Extensions;

/// A value of a connection, as returned by [`Context::get`](crate::Context::get): stored by a
/// handler, by authorization, or by a layer around the endpoint. Cheap to clone, and may be kept
/// after the call.
///
/// ```
/// # use wsjsonrpc::{Context, Result};
/// # use wsjsonrpc::service::Extension;
/// struct User {
///     name: String,
/// }
///
/// fn whoami(ctx: &Context) -> Result<String> {
///     let user: Extension<User> = ctx.require()?;
///     Ok(user.name.clone())
/// }
/// ```
pub struct Extension<T>(Held<T>);

enum Held<T> {
    Own(Arc<T>),
    /// Extensions of the handshake, which contain a value of the type and never change. The value
    /// is looked up for each use, because the extensions lend it out without sharing ownership.
    Outer(Arc<dyn Outer>),
}

/// An owner of extensions that no longer change.
pub(crate) trait Outer: Send + Sync {
    fn extensions(&self) -> &Extensions;
}

impl<T: Send + Sync + 'static> Extension<T> {
    pub(crate) fn own(value: Arc<T>) -> Self {
        Extension(Held::Own(value))
    }

    /// The value of these extensions, if they have one.
    pub(crate) fn outer(outer: &Arc<impl Outer + 'static>) -> Option<Self> {
        outer.extensions().get::<T>()?;
        let outer = Arc::clone(outer);
        Some(Extension(Held::Outer(outer)))
    }
}

impl<T: Send + Sync + 'static> Deref for Extension<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Held::Own(value) => value,
            Held::Outer(outer) => match outer.extensions().get() {
                Some(value) => value,
                // The value existed when this was created.
                None => unreachable!("extensions of a handshake never change"),
            },
        }
    }
}

impl<T: Send + Sync + 'static> AsRef<T> for Extension<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> Clone for Extension<T> {
    fn clone(&self) -> Self {
        Extension(match &self.0 {
            Held::Own(value) => Held::Own(Arc::clone(value)),
            Held::Outer(outer) => Held::Outer(Arc::clone(outer)),
        })
    }
}

impl<T: PartialEq + Send + Sync + 'static> PartialEq for Extension<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq + Send + Sync + 'static> Eq for Extension<T> {}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Extension<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
