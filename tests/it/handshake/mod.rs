//! The opening handshake: requests and responses byte by byte, subprotocols, origins, and the application's
//! authorization hook.

mod authorize;
mod authorize_hostile;
mod both_sides;
mod broken_heads;
mod origin;
mod request;
mod response;
mod server;
mod subprotocols;
