//! Stand-ins for public methods behind features that are off, so that the compiler's error names
//! the feature. rustc does that itself for types and modules.
//!
//! Each has a bound that no type satisfies. The bound has its own lifetime (`for<'a>`): otherwise
//! rustc would report the error here.

/// The bound of methods behind the feature `tls`.
#[cfg(not(feature = "tls"))]
#[diagnostic::on_unimplemented(
    message = "this method needs the feature `tls` of `wsjsonrpc`",
    label = "needs the feature `tls`",
    note = "enable it in Cargo.toml: `cargo add wsjsonrpc --features tls`"
)]
pub trait NeedsTls {}

#[cfg(not(feature = "tls"))]
impl crate::server::ServerBuilder {
    #[doc(hidden)]
    pub fn tls_pem(self, _chain: impl AsRef<[u8]>, _key: impl AsRef<[u8]>) -> Self
    where
        for<'a> &'a Self: NeedsTls,
    {
        self
    }

    #[doc(hidden)]
    pub fn tls_config<C>(self, _config: C) -> Self
    where
        for<'a> &'a Self: NeedsTls,
    {
        self
    }
}

#[cfg(not(feature = "tls"))]
impl crate::client::ClientBuilder {
    #[doc(hidden)]
    pub fn tls_roots_pem(self, _pem: impl Into<Vec<u8>>) -> Self
    where
        for<'a> &'a Self: NeedsTls,
    {
        self
    }

    #[doc(hidden)]
    pub fn tls_config<C>(self, _config: C) -> Self
    where
        for<'a> &'a Self: NeedsTls,
    {
        self
    }
}

/// The bound of methods behind the feature `webpki-roots`.
#[cfg(not(feature = "webpki-roots"))]
#[diagnostic::on_unimplemented(
    message = "this method needs the feature `webpki-roots` of `wsjsonrpc`",
    label = "needs the feature `webpki-roots`",
    note = "enable it in Cargo.toml: `cargo add wsjsonrpc --features webpki-roots`"
)]
pub trait NeedsWebpkiRoots {}

#[cfg(not(feature = "webpki-roots"))]
impl crate::client::ClientBuilder {
    #[doc(hidden)]
    pub fn tls_webpki_roots(self) -> Self
    where
        for<'a> &'a Self: NeedsWebpkiRoots,
    {
        self
    }
}

/// The bound of methods behind the feature `tower`.
#[cfg(not(feature = "tower"))]
#[diagnostic::on_unimplemented(
    message = "this method needs the feature `tower` of `wsjsonrpc`",
    label = "needs the feature `tower`",
    note = "enable it in Cargo.toml: `cargo add wsjsonrpc --features tower`, or `axum` for axum"
)]
pub trait NeedsTower {}

#[cfg(not(feature = "tower"))]
impl crate::Endpoint {
    /// Returns any type, so that nothing else is wrong with how the result is used.
    #[doc(hidden)]
    pub fn http_service<S>(&self) -> S
    where
        for<'a> &'a Self: NeedsTower,
    {
        unreachable!("no type satisfies the bound")
    }
}

/// The bound of a mock that `#[rpc(mock)]` makes where the feature `testing` is off.
#[cfg(not(feature = "testing"))]
#[diagnostic::on_unimplemented(
    message = "mocks need the feature `testing` of `wsjsonrpc`",
    label = "needs the feature `testing`",
    note = "enable it in Cargo.toml: `cargo add --dev wsjsonrpc --features testing`"
)]
pub trait NeedsTesting {
    /// Stands for the mock, so that rustc reports no missing methods.
    type Output;
}

/// The bound of methods behind the feature `schema`.
#[cfg(not(feature = "schema"))]
#[diagnostic::on_unimplemented(
    message = "this method needs the feature `schema` of `wsjsonrpc`",
    label = "needs the feature `schema`",
    note = "enable it in Cargo.toml: `cargo add wsjsonrpc --features schema`"
)]
pub trait NeedsSchema {}

#[cfg(not(feature = "schema"))]
impl crate::Endpoint {
    /// Returns any type, as `http_service` does.
    #[doc(hidden)]
    pub fn openrpc<I, D>(&self, _info: I) -> D
    where
        for<'a> &'a Self: NeedsSchema,
    {
        unreachable!("no type satisfies the bound")
    }
}

#[cfg(not(feature = "schema"))]
macro_rules! builders_without_schema {
    ($($builder:ty),*) => {$(
        impl $builder {
            #[doc(hidden)]
            pub fn discover<D>(self, _discover: D) -> Self
            where
                for<'a> &'a Self: NeedsSchema,
            {
                self
            }

            #[doc(hidden)]
            pub fn calls<C>(self) -> Self
            where
                for<'a> &'a Self: NeedsSchema,
            {
                self
            }

            #[doc(hidden)]
            pub fn describe<M>(self, _method: M) -> Self
            where
                for<'a> &'a Self: NeedsSchema,
            {
                self
            }
        }
    )*};
}

#[cfg(not(feature = "schema"))]
builders_without_schema!(
    crate::server::ServerBuilder,
    crate::client::ClientBuilder,
    crate::Services,
    crate::Methods
);
