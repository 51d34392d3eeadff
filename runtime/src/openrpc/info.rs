//! What a document says about the API as a whole: [`Info`].

/// The title and the version of an API, and other facts for the head of its
/// [`Document`](super::Document).
///
/// ```
/// use wsjsonrpc::openrpc::{Info, License, ServerUrl};
///
/// let info = Info {
///     description: Some("Adds, subtracts and multiplies.".to_owned()),
///     license: Some(License { name: "MIT".to_owned(), url: None }),
///     servers: vec![ServerUrl { name: "production".into(), url: "wss://math.example.com/".into() }],
///     ..Info::new("Calculator", env!("CARGO_PKG_VERSION"))
/// };
/// # drop(info);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    /// The name of the API.
    pub title: String,
    /// The version of the API, for example `env!("CARGO_PKG_VERSION")`.
    pub version: String,
    /// What the API is for, in Markdown.
    pub description: Option<String>,
    /// The URL of the terms of service.
    pub terms_of_service: Option<String>,
    /// Who answers questions about the API.
    pub contact: Option<Contact>,
    /// The licence of the API.
    pub license: Option<License>,
    /// Where the API is served.
    pub servers: Vec<ServerUrl>,
    /// The version of OpenRPC that the document follows. Default: [`Version::V1_3`].
    pub openrpc: Version,
}

impl Info {
    /// The title and the version of an API.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Info { title: title.into(), version: version.into(), ..Info::default() }
    }
}

/// Who answers questions about an API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contact {
    /// The name of a person or an organization.
    pub name: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// The URL of a page.
    pub url: Option<String>,
}

/// The licence of an API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct License {
    /// The name, for example `MIT`.
    pub name: String,
    /// The URL of the text.
    pub url: Option<String>,
}

/// Where an API is served.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerUrl {
    /// The name of the server, for example `production`.
    pub name: String,
    /// The URL, for example `wss://example.com/rpc`.
    pub url: String,
}

/// A version of the OpenRPC specification. The documents of both versions differ only in this
/// number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Version {
    /// 1.3.2, which most tools read.
    #[default]
    V1_3,
    /// 1.4.1.
    V1_4,
}

impl Version {
    pub(super) fn number(self) -> &'static str {
        match self {
            Version::V1_3 => "1.3.2",
            Version::V1_4 => "1.4.1",
        }
    }
}
